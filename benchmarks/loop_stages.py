"""From alarm to new champion, stage by stage, as a finished demo's decisions tell it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidemill.loop.story import steps
from tidemill.project import Workspace, find_project, load_project
from tidemill.settings import Settings
from tidemill.stores import Databases, Decision

_TRIGGERS = ("error", "evidently", "labels")
_MOST = 10_000


@dataclass(frozen=True)
class Stage:
    """How long a stage took in wall time, in seconds: the median and the 90th percentile of the decisions."""

    name: str
    median_s: float
    p90_s: float


@dataclass(frozen=True)
class Reaction:
    """The stages of so many alarms that brought a new champion, and the last of them, from asking to serving."""

    decisions: int
    stages: tuple[Stage, ...]


def read_reaction(settings: Settings) -> Reaction | None:
    """What the decisions of a home say; None without a finished demo, or where no alarm has brought a champion."""
    databases = Databases(settings.home, settings.database_url)
    if not databases.exists("serving"):
        return None
    workspace = Workspace.open(load_project(find_project(settings.project)), settings.home, database=settings.database_url)
    try:
        told = [each for model in workspace.project.models for each in workspace.decisions.recent(model.name, _MOST)]
    finally:
        workspace.close()
    return reaction_of(told)


def reaction_of(decisions: Sequence[Decision]) -> Reaction | None:
    """The stages of those that an alarm asked for and that brought a new champion; None of none.

    A run that had to wait, as another was at work or a server away, counts as long as it waited.
    """
    promoted = [each for each in decisions if each.trigger in _TRIGGERS and each.outcome == "promoted"]
    taken: dict[str, list[float]] = defaultdict(list)
    for each in promoted:
        told = {step.name: step for step in steps(each)}
        for step in told.values():
            if step.name not in ("asked", "ended"):
                taken[step.name].append(step.took_s)
        if "deployed" in told and "asked" in told:
            taken["alarm to serving"].append((told["deployed"].wall_ms - told["asked"].wall_ms) / 1_000)
    stages = tuple(Stage(name, statistics.median(values), float(np.quantile(values, 0.9))) for name, values in taken.items())
    return Reaction(len(promoted), stages) if stages else None
