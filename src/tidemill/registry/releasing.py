"""Trying a version on live traffic before it is the champion: as a shadow, or as a canary; and going back at once.

```
 alias     scores                            answers
 shadow    every question                    none: what it said is logged beside the champion's answer
 canary    the questions of its share        these; the champion scores them too, so that both can be held against the outcomes
```
One of each at most: another takes its place where it is said which one it replaces. An alias set in MLflow means the same: servers follow
the aliases, not this module. A version that is promoted is tried no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tidemill.clock import DAY_MS, wall_ms
from tidemill.errors import ConflictError, InputError, NotReadyError
from tidemill.learning import Model
from tidemill.project import Workspace
from tidemill.registry.deciding import Asker, end, put_back
from tidemill.registry.deploying import carry_out
from tidemill.registry.named import CANARY, CHAMPION, DEFAULT_PERCENT, PREVIOUS, Named
from tidemill.registry.registry import Registry
from tidemill.stores import Decision, Role
from tidemill.stores.predictions import LAST_MS

COMPARED_MS = 28 * DAY_MS  # of stream time, and what was asked since


@dataclass(frozen=True)
class Beside:
    """A version that is tried, beside the champion on the same questions, of each key the last, where the outcome is known.

    Args:
        role: shadow or canary.
        version: its number.
        percent: the share of keys it answers; 0 of a shadow.
        n_outcomes: outcomes of what it scored.
        figures: its quality, by metric; empty without outcomes.
        champion: the same of the champion.
        one_in: of how many questions one was looked at; 1 while there are few enough for all.
    """

    role: Role
    version: int
    percent: float
    n_outcomes: int
    figures: dict[str, float]
    champion: dict[str, float]
    one_in: int = 1


@dataclass(frozen=True)
class Attempt:
    """A version to try on live traffic.

    Args:
        role: shadow or canary.
        version: its number.
        percent: of all keys, above 0, that a canary answers; the keys of a smaller share stay in a larger one. None leaves a running
            canary its share, and gives a new one 5.
        replace: the version that is tried in this role by now and is to make room; None where none is.
    """

    role: Role
    version: int
    percent: float | None = None
    replace: int | None = None


def try_version(registry: Registry, name: str, attempt: Attempt) -> str:
    """Let a version score what the champion answers, or answer the questions of a share of keys; answers what that changed, in words.

    Args:
        registry: of the version.
        name: the registered name.
        attempt: what to try.

    Raises:
        InputError: no such share.
        NotFoundError: there is no such version.
        ConflictError: it is the champion, or there is none yet, or another version is tried than is to be replaced.
    """
    if attempt.percent is not None and not 0 < attempt.percent <= 100:
        raise InputError(f"{attempt.percent:g} is no share; say a percentage above 0 and up to 100", where="percent")
    named = registry.named(name)
    _refuse_champion(named, name, attempt.version)
    registry.check_version(name, attempt.version)
    _refuse_replacing(named, name, attempt)
    before, share = named.versions.get(attempt.role), ""
    if attempt.role == "canary":
        share = _give_share(registry, name, attempt, named)
    registry.set_alias(name, attempt.role, attempt.version)
    place = "" if before in (None, attempt.version) else f" in place of version {before}"
    return f"{name_trials({attempt.role: attempt.version})}{share}{place}"


def end_trials(registry: Registry, name: str, meant: Mapping[Role, int] | None = None) -> None:
    """Let the champion answer what a canary did, and a shadow score no more.

    Args:
        registry: of the versions.
        name: the registered name.
        meant: the trials that are meant, each with its version; what else is tried goes on. Whatever is tried, where left out.

    Raises:
        ConflictError: by now another version is tried than they mean; nothing is ended. One that has ended already is no such case.
    """
    tried = _tried(registry.named(name))
    for role, version in (tried if meant is None else meant).items():
        if tried.get(role, version) != version:
            raise ConflictError(f"version {tried[role]} of {name!r} is tried as {role} by now, not {version}; look, and ask again")
    for role in tried if meant is None else meant:
        registry.drop_alias(name, role)


def name_trials(trials: Mapping[Role, int]) -> str:
    """What is tried, in words.

    >>> name_trials({"shadow": 4, "canary": 5})
    'version 4 as shadow and version 5 as canary'
    """
    return " and ".join(f"version {version} as {role}" for role, version in trials.items())


def compare_trials(workspace: Workspace, model: Model, named: Named) -> list[Beside]:
    """What is tried now, beside the champion."""
    told = []
    for role, version in _tried(named).items():
        span = workspace.now_ms() - COMPARED_MS, LAST_MS
        seen = workspace.quality.tried(model.name, model.label, span, (role, version))
        own, champion = (
            {} if not len(one.outcome) else model.objective.quality(one.outcome, np.asarray(one.said)).figures
            for one in (seen.own, seen.champion)
        )
        percent = named.canary_percent if role == "canary" else 0.0
        told.append(Beside(role, version, percent, len(seen.own.outcome), own, champion, seen.one_in))
    return told


def act_at_once(workspace: Workspace, registry: Registry, model: Model, decision: Decision, asker: Asker) -> Decision:
    """Carry out a promotion or rollback that a person asks for, here and now instead of in a flow; answers how it ended.

    Raises:
        ConflictError: another run has it in hand.
        NotFoundError: there is no such version.
        NotReadyError: a server is behind, or MLflow is away; the decision waits, and a flow carries it out.
    """
    if not workspace.decisions.claim(decision.id, asker.run_id, wall_ms()):
        raise ConflictError(f"decision {decision.id} is in another run's hands, or has ended")
    try:
        carry_out(workspace, registry, model, decision, asker.run_id)
    except NotReadyError:
        put_back(workspace, decision, asker.run_id)
        raise
    except Exception as error:
        end(workspace, decision, asker.run_id, "failed", f"{type(error).__name__}: {error}")
        raise
    return workspace.decisions.get(decision.id)


def _tried(named: Named) -> dict[Role, int]:
    """The version of each role that one is tried in; the roles are called as their aliases."""
    roles: tuple[Role, ...] = ("shadow", "canary")
    return {role: named.versions[role] for role in roles if role in named.versions}


def _refuse_champion(named: Named, name: str, version: int) -> None:
    champion = named.versions.get(CHAMPION)
    if champion is None:
        raise ConflictError(f"{name!r} has no champion to try version {version} beside; promote one first")
    if champion == version:
        before = named.versions.get(PREVIOUS)
        other = "" if before is None else f", e.g. {before}, the previous one"
        raise ConflictError(f"version {version} of {name!r} is the champion; try another{other}")


def _give_share(registry: Registry, name: str, attempt: Attempt, named: Named) -> str:
    """Set the share of a canary before it is one; answers what that changed, in words."""
    before, was = named.versions.get(CANARY), named.canary_percent
    is_running = before == attempt.version
    share = attempt.percent or (was if is_running else DEFAULT_PERCENT)
    if before is not None and not is_running:
        registry.drop_alias(name, CANARY)  # else the one before would answer the new one's share for a moment
    registry.set_canary_percent(name, share)
    return f" of {share:g} %" + (f", until now of {was:g} %" if is_running and was != share else "")


def _refuse_replacing(named: Named, name: str, attempt: Attempt) -> None:
    """Refuse what would end a trial that is not meant; one that has ended already is no such case, nor is what is asked twice."""
    tried = _tried(named).get(attempt.role)
    if tried in (None, attempt.version, attempt.replace):
        return
    if attempt.replace is not None:
        raise ConflictError(f"version {tried} of {name!r} is tried as {attempt.role} by now, not {attempt.replace}; look, and ask again")
    share = f" of {named.canary_percent:g} % of the keys" if attempt.role == "canary" else ""
    raise ConflictError(
        f"version {tried} of {name!r} is tried as {attempt.role}{share} already; end that first,"
        f' or say that version {attempt.version} replaces it: `--replace {tried}`, over HTTP "replace": {tried}'
    )
