"""Trying a version on live traffic before it is the champion: as a shadow, or as a canary; and going back at once.

```
 alias     scores                            answers
 shadow    every question                    none: what it said is logged beside the champion's answer
 canary    the questions of its share        these; the champion scores them too, so that both can be held against the outcomes
```
One of each at most. An alias set in MLflow means the same: servers follow the aliases, not this module. A version that is promoted is
tried no more.
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
from tidemill.registry.named import CANARY, CHAMPION, PREVIOUS, SHADOW, Named
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


def try_shadow(registry: Registry, name: str, version: int) -> None:
    """Let a version score what the champion answers.

    Raises:
        NotFoundError: there is no such version.
        ConflictError: it is the champion, or there is none yet.
    """
    _refuse_champion(registry.named(name), name, version)
    registry.check_version(name, version)
    registry.set_alias(name, SHADOW, version)


def try_canary(registry: Registry, name: str, version: int, percent: float) -> None:
    """Let a version answer the questions of a share of keys.

    Args:
        registry: of the version.
        name: the registered name.
        version: which.
        percent: of all keys, above 0; the keys of a smaller share stay in a larger one.

    Raises:
        InputError: no such share.
        NotFoundError: there is no such version.
        ConflictError: it is the champion, or there is none yet.
    """
    if not 0 < percent <= 100:
        raise InputError(f"{percent:g} is no share; say a percentage above 0 and up to 100", where="percent")
    named = registry.named(name)
    _refuse_champion(named, name, version)
    registry.check_version(name, version)
    if named.versions.get(CANARY) not in (None, version):
        registry.drop_alias(name, CANARY)  # else the one before would answer the new one's share for a moment
    registry.set_canary_percent(name, percent)
    registry.set_alias(name, CANARY, version)


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
