"""Deploying: move the alias, then wait until every server says it serves the new champion."""

from __future__ import annotations

import time
from contextlib import suppress

from tidemill.clock import wall_ms
from tidemill.errors import ConflictError, NotFoundError, NotReadyError, UnavailableError
from tidemill.learning import Model
from tidemill.loop import Refused
from tidemill.project import Workspace
from tidemill.registry.deciding import Ask, Asker, Learnt, mark, refuse, request
from tidemill.registry.named import CHAMPION, PREVIOUS
from tidemill.registry.registry import Registry
from tidemill.stores import Decision
from tidemill.stores.decision_records import Ending, Outcome

HEARD_OF_MS = 60_000


def deploy(workspace: Workspace, registry: Registry, model: Model, version: int, timeout_s: float = 180.0) -> dict[str, int]:
    """Make a version the champion and wait for the servers; answers which server serves what. With no server up it waits for none.

    One that was killed is waited for until it has not been heard of for a minute.

    Raises:
        NotFoundError: there is no such version.
        ConflictError: somebody has made another version the champion before every server served this one.
        NotReadyError: a server that was heard of lately does not serve it in time; the alias stays moved.
    """
    name = workspace.project.registered_name(model.name)
    registry.promote(name, version)
    deadline_s = time.monotonic() + timeout_s
    while True:
        servers = workspace.predictions.servers(model.name, wall_ms() - HEARD_OF_MS)
        if all(serving == version for serving in servers.values()):
            return servers
        if time.monotonic() > deadline_s:
            behind = sorted(server for server, serving in servers.items() if serving != version)
            raise NotReadyError(
                f"after {timeout_s:.0f} s version {version} of {model.name!r} is not served by {', '.join(behind)}; see its log"
            )
        with suppress(UnavailableError):  # the servers are asked, and they tell it sooner or later
            if (champion := registry.alias(name, CHAMPION)) != version:
                now = "none is any more" if champion is None else f"version {champion} was made it"
                raise ConflictError(f"version {version} of {model.name!r} was made the champion, and while servers went over {now}")
        time.sleep(0.1)


def deploy_learnt(workspace: Workspace, registry: Registry, model: Model, claimed: tuple[Decision, str], learnt: Learnt) -> Refused | None:
    """Deploy what a decision has learnt, for the run that holds it; answers why it is not to serve, and then the decision has ended.

    That is so where another version has become the champion than the one it was judged beside, be it while servers follow, or where
    somebody has frozen the model meanwhile.

    Raises:
        ConflictError: the run holds it no longer.
    """
    decision, run_id = claimed
    mark(workspace, decision, run_id, "deploying")
    refused = _refused(workspace, registry, model, learnt)
    if refused is None and (overtaken := _overtaken(workspace, registry, model, learnt.version)):
        refused = Refused("Superseded", overtaken)
    if refused is None:
        mark(workspace, decision, run_id, "deployed")
    else:
        refuse(workspace, model, claimed, learnt, refused)
    return refused


def _overtaken(workspace: Workspace, registry: Registry, model: Model, version: int) -> str:
    """Deploy a version; answers what came in between, "" where nothing did."""
    try:
        deploy(workspace, registry, model, version)
    except ConflictError as error:
        return str(error)
    return ""


def _refused(workspace: Workspace, registry: Registry, model: Model, learnt: Learnt) -> Refused | None:
    champion = registry.alias(workspace.project.registered_name(model.name), CHAMPION)
    if champion == learnt.version:  # it serves, or servers follow
        return None
    if champion != learnt.judgement.champion:
        beside = f"version {learnt.version} of {model.name!r} was judged beside version {learnt.judgement.champion}"
        return Refused("Superseded", f"{beside}, and version {champion} has become the champion meanwhile; retrain again")
    freeze = workspace.decisions.frozen(model.name)
    if freeze is None:
        return None
    passed = f"version {learnt.version} of {model.name!r} has passed, and {freeze.by} has frozen the model meanwhile ({freeze.reason})"
    return Refused("Frozen", f"{passed}; what serves goes on. Promote it by hand, or retrain again once the model is unfrozen")


def request_promotion(workspace: Workspace, registry: Registry, model: Model, version: int, asker: Asker) -> Decision:
    """A decision for a version that a person makes the champion, whatever the gate said of it.

    Raises:
        NotFoundError: there is no such version.
        ConflictError: it is the champion, and not by this very decision: once more it would end its probation.
    """
    name, key = workspace.project.registered_name(model.name), f"promote:{asker.run_id}"
    registry.check_version(name, version)
    champion = registry.alias(name, CHAMPION)
    if champion == version and workspace.decisions.of_alarm(model.name, key) is None:
        going = (one for one in workspace.decisions.recent(model.name) if one.outcome is None and one.to_version == str(version))
        waits = "".join(f"; decision {one.id} ends once every server serves it" for one in going)
        raise ConflictError(f"version {version} of {model.name!r} is the champion already{waits}")
    reason = f"version {version} is made the champion by {asker.by}"
    evidence = {"asked_by": asker.by}
    return request(workspace, model, Ask("promote", "manual", key, reason, evidence, champion, version))


def request_rollback(workspace: Workspace, registry: Registry, model: Model, asker: Asker, to: int | None = None) -> Decision:
    """A decision for a rollback that a person asks for; it names both versions, so that a run that is tried again goes the same way.

    Args:
        workspace: of the project.
        registry: of its models.
        model: which.
        asker: who asks.
        to: the version that they mean by the previous one. Asked without it twice, the second goes back to where the first began.

    Raises:
        NotFoundError: there is no previous champion.
        ConflictError: by now another version is the previous one than they mean, maybe as somebody has rolled back before them.
    """
    name = workspace.project.registered_name(model.name)
    champion, previous = registry.alias(name, CHAMPION), registry.alias(name, PREVIOUS)
    if previous is None or previous == champion:
        raise NotFoundError("previous champion", name, [str(version) for version in registry.versions(name)])
    if to is not None and champion == to:
        raise ConflictError(f"version {to} of {model.name!r} is the champion already; nothing is to be rolled back")
    if to is not None and previous != to:
        raise ConflictError(f"version {previous} of {model.name!r} is the previous champion by now, not {to}; look, and ask again")
    reason = f"back to version {previous}, by {asker.by}"
    evidence = {"asked_by": asker.by}
    return request(workspace, model, Ask("rollback", "manual", f"rollback:{asker.run_id}", reason, evidence, champion, previous))


def carry_out(workspace: Workspace, registry: Registry, model: Model, decision: Decision, run_id: str) -> bool:
    """Promote or roll back as a claimed decision says; False when another version has become the champion meanwhile, and it is refused.

    Raises:
        ConflictError: the run holds the decision no longer.
        NotFoundError: there is no such version.
    """
    wanted = int(decision.to_version or 0)
    champion = registry.alias(workspace.project.registered_name(model.name), CHAMPION)
    by = str(decision.evidence.get("asked_by") or decision.trigger)
    mark(workspace, decision, run_id, "deploying")
    if champion != wanted and str(champion) != decision.from_version and decision.from_version is not None:
        overtaken = f"version {champion} has become the champion since it was asked for"
    else:
        overtaken = _overtaken(workspace, registry, model, wanted)
    if overtaken:
        reason = f"Superseded: {overtaken}"
        workspace.decisions.finish(decision.id, Ending("refused", reason, workspace.now_ms(), wall_ms(), decided_by="guard"), run_id)
        return False
    mark(workspace, decision, run_id, "deployed")
    outcome: Outcome = "rolled_back" if decision.act == "rollback" else "promoted"
    ending = Ending(outcome, decision.reason, workspace.now_ms(), wall_ms(), to_version=str(wanted), decided_by=by)
    if not workspace.decisions.finish(decision.id, ending, run_id):
        raise ConflictError(f"decision {decision.id} is no longer held by run {run_id}; another run goes on with it")
    return True
