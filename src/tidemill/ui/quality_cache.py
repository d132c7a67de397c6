"""Weekly quality of a model, live beside frozen, with a memory: a week that is closed is judged once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tidemill.clock import DAY_MS
from tidemill.drift.span_memory import SpanMemory, spans_of
from tidemill.learning import Model
from tidemill.learning.metrics import Quality
from tidemill.learning.outcomes import read_settled
from tidemill.project import Workspace
from tidemill.stores import Judged

WEEK_MS = 7 * DAY_MS


@dataclass(frozen=True)
class Run:
    """A version began to answer; `at_ms` is the time of its first labelled prediction."""

    version: str
    at_ms: int


@dataclass(frozen=True)
class Week:
    """The labelled predictions asked in one week from `start_ms`; `closed` once no more of their outcomes can count."""

    start_ms: int
    live: Quality
    frozen: Quality
    runs: tuple[Run, ...]
    closed: bool


@dataclass(frozen=True)
class WeeklyQuality:
    """The weeks that have labelled predictions, oldest first; `complete` is False while older ones still have to be read."""

    weeks: tuple[Week, ...] = ()
    complete: bool = True

    @property
    def n_labelled(self) -> int:
        """Labelled predictions of the champions."""
        return sum(week.live.n for week in self.weeks)

    @property
    def runs(self) -> tuple[Run, ...]:
        """Which version answered from when, over all weeks."""
        found: list[Run] = []
        for week in self.weeks:
            found += [run for run in week.runs if not found or run.version != found[-1].version]
        return tuple(found)

    def mean(self, role: str, name: str) -> float | None:
        """The mean of the weeks' figure of `live` or `frozen`, weighted by their rows.

        Of log loss, accuracy and absolute error it is exactly that of all rows, as each week's is a mean over its own; of the others it
        is not what all rows pooled would give.
        """
        weeks = [getattr(week, role) for week in self.weeks]
        known = [(value, week.n) for week in weeks if (value := getattr(week, name)) is not None]
        n = sum(n for _, n in known)
        return sum(value * n for value, n in known) / n if n else None


class QualityCache:
    """The weeks of models, remembered as `SpanMemory` says.

    Args:
        budget_s: longest time one call spends on closed weeks it has not seen; at least one is read.
        clock_s: a monotonic clock, seconds.
    """

    def __init__(self, budget_s: float = 0.5, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._spans: SpanMemory[Week] = SpanMemory(budget_s, clock_s)

    def read(self, workspace: Workspace, model: Model, now_ms: int) -> WeeklyQuality:
        """The weeks of a model up to stream time `now_ms`."""

        def judge(start_ms: int, closed: bool, _others: Sequence[Week]) -> Week | None:
            return _week(workspace, model, (start_ms, now_ms), closed=closed)

        return WeeklyQuality(*self._spans.read(model.name, spans_of(workspace, model, now_ms, WEEK_MS), judge))


def _week(workspace: Workspace, model: Model, start_and_now_ms: tuple[int, int], *, closed: bool) -> Week | None:
    """One week judged; None if it has no labelled prediction."""
    start_ms, now_ms = start_and_now_ms
    judged = read_settled(workspace.quality, model, (start_ms, start_ms + WEEK_MS), now_ms)
    live, frozen = judged.of_role("champion"), judged.of_role("frozen")
    if not len(live.outcome) and not len(frozen.outcome):
        return None
    qualities = [model.objective.quality(rows.outcome, rows.said) for rows in (live, frozen)]
    return Week(start_ms, qualities[0], qualities[1], _runs(live), closed)


def _runs(live: Judged) -> tuple[Run, ...]:
    rows = zip(live.version.tolist(), live.at_ms.tolist(), strict=True)
    found: list[Run] = []
    for version, at_ms in rows:
        if not found or found[-1].version != str(version):
            found.append(Run(str(version), at_ms))
    return tuple(found)
