"""A decision from request to ending, with what the guard must know."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from tidemill.clock import wall_ms
from tidemill.errors import ConflictError, UnavailableError
from tidemill.learning import Model
from tidemill.loop import Admitted, GuardPolicy, Refused, Verdict, admit, read_facts
from tidemill.project import Workspace
from tidemill.registry.faults import NEWEST_LABELS, book_fault, label_fault, newest_null_fault, reference_outcomes, watched_fault
from tidemill.registry.judging import Judgement
from tidemill.registry.known_outcomes import count_known, newest_known
from tidemill.registry.named import CHAMPION
from tidemill.registry.registry import Registry
from tidemill.registry.version import Version
from tidemill.stores import Decision
from tidemill.stores.answer import class_of
from tidemill.stores.decision_records import Act, Ending, Outcome, Stage, Trigger, decision_id

GATE, GUARD = "gate", "guard"  # what decides where no person does; `probation` besides


@dataclass(frozen=True)
class Learnt:
    """What a training came to: the version it registered, how many were fitted, what the gate said, what became of the last fit."""

    version: int
    fits: int
    judgement: Judgement
    refit: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asker:
    """Who asks by hand: their name, their flow run, and a key under which it counts once where a flow upstream asks."""

    by: str
    run_id: str
    key: str = ""


@dataclass(frozen=True)
class Ask:
    """What is asked for: an act on a model, by which trigger, and the key under which it counts once."""

    act: Act
    trigger: Trigger
    key: str
    reason: str
    evidence: Mapping[str, object] | None = None
    from_version: int | None = None
    to_version: int | None = None


def request(workspace: Workspace, model: Model, ask: Ask) -> Decision:
    """The decision for a request, made now unless its key has one already."""
    now = wall_ms()
    decision = make_decision(model, ask, workspace.now_ms(), now)
    if workspace.decisions.request(decision):
        return decision
    return workspace.decisions.of_alarm(model.name, ask.key) or decision


def make_decision(model: Model, ask: Ask, now_ms: int, wall_now_ms: int) -> Decision:
    """The decision that a request would make at a stream and a wall time."""
    return Decision(
        id=decision_id(wall_now_ms, random.SystemRandom()),
        model=model.name,
        trigger=ask.trigger,
        alarm_key=ask.key,
        reason=ask.reason,
        requested_at_ms=now_ms,
        requested_wall_ms=wall_now_ms,
        evidence=ask.evidence or {},
        from_version=None if ask.from_version is None else str(ask.from_version),
        to_version=None if ask.to_version is None else str(ask.to_version),
        act=ask.act,
    )


def request_retrain(workspace: Workspace, model: Model, reason: str, asker: Asker) -> Decision:
    """A retrain that a person asks for, or with a key a flow upstream; a run that is tried again finds the one it asked for."""
    trigger: Trigger = "upstream" if asker.key else "manual"
    return request(workspace, model, Ask("retrain", trigger, f"{trigger}:{asker.key or asker.run_id}", reason, {"asked_by": asker.by}))


def guard(workspace: Workspace, registry: Registry, model: Model, decision: Decision, run_id: str) -> Admitted | Refused:
    """Whether a decision that this run has claimed may go on; what the guard knew is written down with it."""
    name = workspace.project.registered_name(model.name)
    champion = registry.alias(name, CHAMPION)
    served = None if champion is None else registry.load(name, champion)
    trained_ms = 0 if served is None else int(served.tags["stream_time_ms"])
    labels = count_known(workspace, model, trained_ms)
    facts = read_facts(workspace.decisions, decision, workspace.now_ms(), labels, guard_policy(model))
    facts = replace(facts, bad_data=data_fault(workspace, model, served))
    said = admit(decision.trigger, facts, guard_policy(model))
    told = {"refused": said.name, "passes_at_ms": said.passes_at_ms} if isinstance(said, Refused) else {}
    known = {name: value for name, value in asdict(facts).items() if name != "retrains_ms"} | {"retrains": len(facts.retrains_ms)}
    mark(workspace, decision, run_id, "guarded", {"guard": known | told})
    return said


def guard_policy(model: Model) -> GuardPolicy:
    """What a model's policy asks of the guard."""
    policy = model.policy
    return GuardPolicy(policy.cooldown_ms, policy.min_labels, policy.max_retrains, policy.period_ms)


def data_fault(workspace: Workspace, model: Model, served: Version | None) -> str:
    """Why the data may not be learnt from just now; empty when it may."""
    fault = book_fault(workspace, model) or watched_fault(workspace.monitors.load(f"windows:{model.name}")[1])
    if fault or served is None:
        return fault
    several = model.objective.task == "multiclass"
    told = newest_known(workspace, model, NEWEST_LABELS)
    newest = np.array([class_of(outcome.value) if several else outcome.value for outcome in told], dtype=object)
    return label_fault(newest, reference_outcomes(served, model)) or newest_null_fault(workspace, model, served)


def mark(workspace: Workspace, decision: Decision, run_id: str, stage: Stage, findings: Mapping[str, Any] | None = None) -> None:
    """Write down that a stage is reached, as a sign of life and for the audit.

    Raises:
        ConflictError: the claim was taken back meanwhile, after too long a silence: this run must change nothing any more.
    """
    if not workspace.decisions.mark(decision.id, run_id, stage, wall_ms(), findings):
        raise ConflictError(f"decision {decision.id} is no longer held by run {run_id}; it was taken back, another run goes on with it")


def keep_learnt(workspace: Workspace, registry: Registry, model: Model, claimed: tuple[Decision, str], learnt: Learnt) -> None:
    """Write down what was learnt before anything serves it, so that whoever goes on after a crash does not learn again; see `resume`."""
    decision, run_id = claimed
    url = ""
    with suppress(UnavailableError):  # what was learnt must not be lost for the sake of a link
        url = registry.version_url(workspace.project.registered_name(model.name), learnt.version)
    judgement = learnt.judgement
    told = {
        "version": learnt.version,
        "fits": learnt.fits,
        "champion": judgement.champion,
        "promote": judgement.verdict.promote,
        "reason": judgement.verdict.reason,
        "gain": judgement.verdict.gain,
        "metrics": [judgement.metric_champion, judgement.metric_challenger],
    }
    mark(workspace, decision, run_id, "registered", {**judgement.findings, "refit": dict(learnt.refit), "mlflow_run": url, "learnt": told})


def resume(workspace: Workspace, registry: Registry, model: Model, decision: Decision) -> Learnt | None:
    """What an earlier run of this decision had registered before it died; None where a run must begin anew.

    It counts while the champion is the one that it was judged beside, or the very version that this decision promotes.
    """
    told = workspace.decisions.get(decision.id).findings.get("learnt")
    if told is None:
        return None
    champion = registry.alias(workspace.project.registered_name(model.name), CHAMPION)
    if champion not in (told["champion"], told["version"]):
        return None
    verdict = Verdict(told["promote"], told["reason"], told["gain"])
    return Learnt(told["version"], told["fits"], Judgement(told["champion"], verdict, *told["metrics"]))


def finish(workspace: Workspace, model: Model, decision: Decision, run_id: str, learnt: Learnt) -> None:
    """Write what came of a decision.

    Raises:
        ConflictError: the claim was taken back meanwhile, after too long a silence.
    """
    verdict = learnt.judgement.verdict
    ending = Ending("promoted" if verdict.promote else "rejected", verdict.reason, workspace.now_ms(), wall_ms(), decided_by=GATE)
    _end(workspace, decision, run_id, _with_learnt(ending, model, learnt))


def refuse(workspace: Workspace, model: Model, claimed: tuple[Decision, str], learnt: Learnt, refused: Refused) -> None:
    """Write why what a decision has learnt, and has passed the gate, is not to serve.

    Raises:
        ConflictError: the claim was taken back meanwhile, after too long a silence.
    """
    reason = f"{refused.name}: {refused.reason}"
    ending = Ending(refused.outcome, reason, workspace.now_ms(), wall_ms(), decided_by=GUARD)
    _end(workspace, *claimed, _with_learnt(ending, model, learnt))


def _with_learnt(ending: Ending, model: Model, learnt: Learnt) -> Ending:
    judgement = learnt.judgement
    return replace(
        ending,
        from_version=None if judgement.champion is None else str(judgement.champion),
        to_version=str(learnt.version),
        metric_name=model.objective.metric,
        metric_champion=judgement.metric_champion,
        metric_challenger=judgement.metric_challenger,
        fits=learnt.fits,
    )


def end(workspace: Workspace, decision: Decision, run_id: str, outcome: Outcome, reason: str) -> None:
    """End a decision that changed nothing, e.g. refused, merged or failed; one that is no longer this run's is left alone."""
    ending = Ending(outcome=outcome, reason=reason, at_ms=workspace.now_ms(), wall_ms=wall_ms(), decided_by=GUARD)
    workspace.decisions.finish(decision.id, ending, run_id)


def put_back(workspace: Workspace, decision: Decision, run_id: str) -> bool:
    """Give a claim back because a server was away; False when that has happened too often, or it is not this run's."""
    return workspace.decisions.put_back(decision.id, run_id, wall_ms())


def _end(workspace: Workspace, decision: Decision, run_id: str, ending: Ending) -> None:
    if not workspace.decisions.finish(decision.id, ending, run_id):
        raise ConflictError(f"decision {decision.id} is no longer held by run {run_id}; it was taken back, another run goes on with it")
