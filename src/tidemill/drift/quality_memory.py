"""The quality of a model, window by window, with a memory: a window that is closed is judged once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import reduce
from operator import add

from tidemill.drift.estimate import WINDOWS_A_CYCLE, QualityReference, window_ms
from tidemill.drift.quality_window import Judging, QualityWindow, judge_window
from tidemill.drift.span_memory import SpanMemory, spans_of
from tidemill.learning import Model
from tidemill.learning.label_lag import LabelLag
from tidemill.project import Workspace
from tidemill.stores.quality import Beside

CYCLES = 8


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
        return _lag(window for window in self.windows if window.closed)


class QualityMemory:
    """The windows of models, remembered as `SpanMemory` says; what is kept reaches back eight cycles behind the label's time.

    Args:
        budget_s: longest time one call spends on closed windows it has not seen; at least one is read.
        clock_s: a monotonic clock, seconds.
    """

    def __init__(self, budget_s: float = 0.5, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._spans: SpanMemory[QualityWindow] = SpanMemory(budget_s, clock_s)
        self._references: dict[str, dict[int, QualityReference | None]] = {}

    def read(self, workspace: Workspace, model: Model, now_ms: int) -> QualityWindows:
        """The windows of a model up to stream time `now_ms`."""
        length_ms = window_ms(model.monitor.cycle_ms)
        spans = spans_of(workspace, model, now_ms, length_ms, CYCLES * WINDOWS_A_CYCLE * length_ms)
        judging = _Judging(workspace, model, length_ms, now_ms, self._references.setdefault(model.name, {}))
        windows, complete = self._spans.read(model.name, spans, lambda start, closed, others: judging.judge(start, others, closed=closed))
        return QualityWindows(length_ms, now_ms, windows, complete)


@dataclass(frozen=True)
class _Judging:
    """One call: what is read from where."""

    workspace: Workspace
    model: Model
    length_ms: int
    now_ms: int
    references: dict[int, QualityReference | None] = field(default_factory=dict)

    def judge(self, start_ms: int, others: Iterable[QualityWindow], *, closed: bool) -> QualityWindow | None:
        """One window, beside closed ones; None without a prediction."""
        span = start_ms, start_ms + self.length_ms
        beside: Beside = "vectors" if self.model.objective.kind == "value" else "texts" if self.model.slices else "nothing"
        rows = self.workspace.quality.followed(self.model.name, self.model.label, span, beside=beside)
        if not len(rows):
            return None
        return judge_window(Judging(self.model, self.reference, self.now_ms, _lag(others)), rows, start_ms, closed=closed)

    def reference(self, version: int) -> QualityReference | None:
        """What the answers of a version are worth; None where this machine does not hold it, or an earlier tidemill made it."""
        if self.references.get(version) is None:
            text = self.workspace.held_reference(self.model.name, version)
            raw = None if text is None else json.loads(text).get("quality")
            self.references[version] = None if raw is None else QualityReference.from_json(raw)
        return self.references[version]


def _lag(windows: Iterable[QualityWindow]) -> LabelLag:
    return reduce(add, (window.lag for window in windows), LabelLag())
