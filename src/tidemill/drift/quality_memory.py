"""The quality of a model, window by window, with a memory: a window that is closed is judged once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import add

from tidemill.drift.estimate import WINDOWS_A_CYCLE, QualityReference, window_ms
from tidemill.drift.quality_window import Judging, QualityWindow, judge_window
from tidemill.learning import Model
from tidemill.learning.label_lag import LabelLag
from tidemill.project import Workspace

CYCLES = 8
_OPEN_EVERY_S = 5.0
_OPEN_EVERY_SHARE = 0.05


@dataclass(frozen=True)
class QualityWindows:
    """The windows that have predictions, oldest first; `complete` is False while older ones still have to be read."""

    window_ms: int
    now_ms: int
    windows: tuple[QualityWindow, ...] = ()
    complete: bool = True

    @property
    def lag(self) -> LabelLag:
        """How long labels took, over the closed windows: what is still open would make them look faster than they are."""
        return reduce(add, (window.lag for window in self.windows if window.closed), LabelLag())


@dataclass
class _Known:
    """What is remembered of one model."""

    closed: dict[int, QualityWindow | None] = field(default_factory=dict)
    still_open: dict[int, tuple[int, QualityWindow | None]] = field(default_factory=dict)  # with the stream time it was read at
    references: dict[int, QualityReference | None] = field(default_factory=dict)
    read_at_s: float = -_OPEN_EVERY_S


class QualityMemory:
    """Judges each closed window once a process, open ones every 5 s at most; newest first, within a budget of time a call.

    A window is closed when its end and the label's `within` have passed. An open one is read again once stream time has moved on by a
    twentieth of its age, so that a label that may take months costs little. What is kept reaches back eight cycles behind the label's
    time. One writer: call it under a lock.

    Args:
        budget_s: longest time one call spends on closed windows it has not seen; at least one is read.
        clock_s: a monotonic clock, seconds.
    """

    def __init__(self, budget_s: float = 0.5, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._budget_s = budget_s
        self._clock_s = clock_s
        self._models: dict[str, _Known] = {}

    def read(self, workspace: Workspace, model: Model, now_ms: int) -> QualityWindows:
        """The windows of a model up to stream time `now_ms`."""
        length_ms = window_ms(model.monitor.cycle_ms)
        starts = _starts(workspace, model, now_ms, length_ms)
        if not starts:
            return QualityWindows(length_ms, now_ms)
        known = self._models.setdefault(model.name, _Known())
        known.closed = {start: window for start, window in known.closed.items() if start >= starts[0]}
        reading = _Reading(workspace, model, known, length_ms, now_ms)
        closed = [start for start in starts if start + length_ms + model.label.within_ms < now_ms]
        complete = self._read_closed(reading, closed)
        self._read_open(reading, starts[len(closed) :])
        found = [known.closed.get(start) or known.still_open.get(start, (0, None))[1] for start in starts]
        return QualityWindows(length_ms, now_ms, tuple(window for window in found if window is not None), complete)

    def _read_closed(self, reading: _Reading, starts: list[int]) -> bool:
        until_s = self._clock_s() + self._budget_s
        missing = [start for start in reversed(starts) if start not in reading.known.closed]
        for done, start in enumerate(missing):
            if done and self._clock_s() > until_s:
                return False
            reading.known.closed[start] = reading.judge(start, LabelLag(), closed=True)
        return True

    def _read_open(self, reading: _Reading, starts: list[int]) -> None:
        known, now_s = reading.known, self._clock_s()
        known.still_open = {start: known.still_open[start] for start in starts if start in known.still_open}
        waited = now_s >= known.read_at_s + _OPEN_EVERY_S
        stale = [start for start in starts if start not in known.still_open or (waited and reading.is_stale(start))]
        if not stale:
            return
        lag = QualityWindows(reading.length_ms, reading.now_ms, tuple(filter(None, known.closed.values()))).lag
        for start in stale:
            known.still_open[start] = reading.now_ms, reading.judge(start, lag, closed=False)
        known.read_at_s = now_s


@dataclass(frozen=True)
class _Reading:
    """One call: what is read from where."""

    workspace: Workspace
    model: Model
    known: _Known
    length_ms: int
    now_ms: int

    def judge(self, start_ms: int, lag: LabelLag, *, closed: bool) -> QualityWindow | None:
        """One window; None without a prediction."""
        span = start_ms, start_ms + self.length_ms
        rows = self.workspace.quality.followed(self.model.name, self.model.label, span, with_texts=bool(self.model.slices))
        if not len(rows):
            return None
        return judge_window(Judging(self.model, self.reference, self.now_ms, lag), rows, start_ms, closed=closed)

    def is_stale(self, start_ms: int) -> bool:
        """Whether an open window is worth another look."""
        seen_ms, _ = self.known.still_open[start_ms]
        return self.now_ms - seen_ms > max(0, self.now_ms - start_ms - self.length_ms) * _OPEN_EVERY_SHARE

    def reference(self, version: int) -> QualityReference | None:
        """What the answers of a version are worth; None where this machine does not hold it, or an earlier tidemill made it."""
        if self.known.references.get(version) is None:
            text = self.workspace.held_reference(self.model.name, version)
            raw = None if text is None else json.loads(text).get("quality")
            self.known.references[version] = None if raw is None else QualityReference.from_json(raw)
        return self.known.references[version]


def _starts(workspace: Workspace, model: Model, now_ms: int, length_ms: int) -> list[int]:
    """Where the windows begin, from the first prediction or eight cycles behind the label's time, whichever is later."""
    first = workspace.predictions.served(model.name, limit=1).at_ms
    if not len(first):
        return []
    earliest_ms = now_ms - model.label.within_ms - CYCLES * WINDOWS_A_CYCLE * length_ms
    return list(range(max(int(first[0]), earliest_ms) // length_ms * length_ms, now_ms + 1, length_ms))
