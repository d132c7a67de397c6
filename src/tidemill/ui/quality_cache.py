"""Weekly quality of a model, live beside frozen, with a memory: a week that is closed is judged once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tidemill.clock import DAY_MS
from tidemill.learning import Model
from tidemill.learning.metrics import Quality
from tidemill.learning.outcomes import settled
from tidemill.project import Workspace
from tidemill.stores import Judged

WEEK_MS = 7 * DAY_MS
_OPEN_EVERY_S = 5.0


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


@dataclass
class _Known:
    """What is remembered of one model."""

    first_ms: int
    closed: dict[int, Week | None] = field(default_factory=dict)
    still_open: dict[int, Week | None] = field(default_factory=dict)
    read_at_s: float = 0.0
    now_ms: int = -1


class QualityCache:
    """Judges each closed week once a process, open weeks every 5 s at most; newest first, within a budget of time a call.

    A week is closed when its end and the label's `within` have passed. One writer: call it under a lock.

    Args:
        budget_s: longest time one call spends on closed weeks it has not seen; at least one is read.
        clock_s: a monotonic clock, seconds.
    """

    def __init__(self, budget_s: float = 0.5, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._budget_s = budget_s
        self._clock_s = clock_s
        self._models: dict[str, _Known] = {}

    def read(self, workspace: Workspace, model: Model, now_ms: int) -> WeeklyQuality:
        """The weeks of a model up to stream time `now_ms`."""
        known = self._known(workspace, model)
        if known is None:
            return WeeklyQuality()
        first = known.first_ms // WEEK_MS * WEEK_MS
        starts = list(range(first, now_ms + 1, WEEK_MS))
        closed = [start for start in starts if start + WEEK_MS + model.label.within_ms < now_ms]
        self._read_open(workspace, model, known, (starts[len(closed) :], now_ms))
        complete = self._read_closed(workspace, model, known, closed)
        found = [known.closed.get(start, known.still_open.get(start)) for start in starts]
        return WeeklyQuality(tuple(week for week in found if week is not None), complete)

    def _known(self, workspace: Workspace, model: Model) -> _Known | None:
        if model.name not in self._models:
            first = workspace.predictions.served(model.name, limit=1).at_ms
            if not len(first):
                return None
            self._models[model.name] = _Known(int(first[0]))
        return self._models[model.name]

    def _read_closed(self, workspace: Workspace, model: Model, known: _Known, starts: list[int]) -> bool:
        until_s = self._clock_s() + self._budget_s
        missing = [start for start in reversed(starts) if start not in known.closed]
        for done, start in enumerate(missing):
            if done and self._clock_s() > until_s:
                return False
            known.closed[start] = _week(workspace, model, (start, start + WEEK_MS + model.label.within_ms + 1), closed=True)
        return True

    def _read_open(self, workspace: Workspace, model: Model, known: _Known, wanted: tuple[list[int], int]) -> None:
        starts, now_ms = wanted
        now_s = self._clock_s()
        fresh = known.now_ms == now_ms or now_s < known.read_at_s + _OPEN_EVERY_S
        if fresh and all(start in known.still_open for start in starts):
            return
        known.still_open = {start: _week(workspace, model, (start, now_ms), closed=False) for start in starts}
        known.read_at_s, known.now_ms = now_s, now_ms


def _week(workspace: Workspace, model: Model, start_and_now_ms: tuple[int, int], *, closed: bool) -> Week | None:
    """One week judged; None if it has no labelled prediction."""
    start_ms, now_ms = start_and_now_ms
    judged = _judged(workspace, model, start_ms, now_ms)
    live, frozen = judged.of_role("champion"), judged.of_role("frozen")
    if not len(live.outcome) and not len(frozen.outcome):
        return None
    qualities = [model.objective.quality(rows.outcome, rows.said) for rows in (live, frozen)]
    return Week(start_ms, qualities[0], qualities[1], _runs(live), closed)


def _judged(workspace: Workspace, model: Model, start_ms: int, now_ms: int) -> Judged:
    """The predictions of a week whose outcome counts at a time; where no outcome means something, those without one are among them."""
    if model.label.absent == "drop":
        return workspace.quality.judged(model.name, model.label, start_ms, start_ms + WEEK_MS)
    rows = workspace.quality.followed(model.name, model.label, (start_ms, start_ms + WEEK_MS))
    outcome = settled(rows, model.label, now_ms)
    known = outcome == outcome
    return Judged(rows.role[known], rows.version[known], rows.at_ms[known], rows.said[known], outcome[known], rows.classes)


def _runs(live: Judged) -> tuple[Run, ...]:
    rows = zip(live.version.tolist(), live.at_ms.tolist(), strict=True)
    found: list[Run] = []
    for version, at_ms in rows:
        if not found or found[-1].version != str(version):
            found.append(Run(str(version), at_ms))
    return tuple(found)
