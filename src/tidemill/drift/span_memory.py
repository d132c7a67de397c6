"""A memory of how spans of stream time were judged: one that is closed is judged once, one that is open now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tidemill.learning import Model
from tidemill.project import Workspace

_OPEN_EVERY_S = 5.0
_OPEN_EVERY_SHARE = 0.05

T = TypeVar("T")
# Given where a span begins, whether it is closed, and what is known of closed ones; None where there is nothing to judge.
Judge = Callable[[int, bool, Sequence[T]], T | None]


@dataclass(frozen=True)
class Spans:
    """The spans of a model up to a stream time.

    Args:
        starts: where they begin, rising; each ends where the next would begin.
        length_ms: of each.
        within_ms: how long after its end an outcome may still count.
        now_ms: stream time.
    """

    starts: Sequence[int]
    length_ms: int
    within_ms: int
    now_ms: int

    @property
    def closed(self) -> list[int]:
        """Those whose end and the label's time have passed."""
        return [start for start in self.starts if start + self.length_ms + self.within_ms < self.now_ms]


def spans_of(workspace: Workspace, model: Model, now_ms: int, length_ms: int, back_ms: int | None = None) -> Spans:
    """Spans from the first prediction of a model on, at whole multiples of their length; none before `back_ms` behind the label's time."""
    first = workspace.predictions.served(model.name, limit=1).at_ms
    within_ms = model.label.within_ms
    if not len(first):
        return Spans((), length_ms, within_ms, now_ms)
    earliest_ms = int(first[0]) if back_ms is None else max(int(first[0]), now_ms - within_ms - back_ms)
    return Spans(range(earliest_ms // length_ms * length_ms, now_ms + 1, length_ms), length_ms, within_ms, now_ms)


@dataclass
class _Known(Generic[T]):
    """What is remembered of one model."""

    closed: dict[int, T | None] = field(default_factory=dict)
    still_open: dict[int, tuple[int, T | None]] = field(default_factory=dict)  # with the stream time it was judged at
    read_at_s: float = -_OPEN_EVERY_S


class SpanMemory(Generic[T]):
    """Judges each closed span once a process, open ones every 5 s at most; newest first, within a budget of time a call.

    An open one is judged again once stream time has moved on by a twentieth of its age, so that a label that may take months costs
    little. One writer: call it under a lock.

    Args:
        budget_s: longest time one call spends on closed spans it has not seen; at least one is judged.
        clock_s: a monotonic clock, seconds.
    """

    def __init__(self, budget_s: float = 0.5, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._budget_s = budget_s
        self._clock_s = clock_s
        self._models: dict[str, _Known[T]] = {}

    def read(self, model: str, spans: Spans, judge: Judge[T]) -> tuple[tuple[T, ...], bool]:
        """What the spans are, oldest first; and False while older ones still have to be judged."""
        if not spans.starts:
            return (), True
        known = self._models.setdefault(model, _Known())
        known.closed = {start: found for start, found in known.closed.items() if start >= spans.starts[0]}
        closed = spans.closed
        complete = self._judge_closed(known, closed, judge)
        self._judge_open(known, spans, spans.starts[len(closed) :], judge)
        found = [known.closed.get(start) or known.still_open.get(start, (0, None))[1] for start in spans.starts]
        return tuple(one for one in found if one is not None), complete

    def _judge_closed(self, known: _Known[T], starts: Sequence[int], judge: Judge[T]) -> bool:
        until_s = self._clock_s() + self._budget_s
        missing = [start for start in reversed(starts) if start not in known.closed]
        for done, start in enumerate(missing):
            if done and self._clock_s() > until_s:
                return False
            known.closed[start] = judge(start, True, ())
        return True

    def _judge_open(self, known: _Known[T], spans: Spans, starts: Sequence[int], judge: Judge[T]) -> None:
        now_s = self._clock_s()
        known.still_open = {start: known.still_open[start] for start in starts if start in known.still_open}
        waited = now_s >= known.read_at_s + _OPEN_EVERY_S
        stale = [start for start in starts if start not in known.still_open or (waited and _is_stale(known, spans, start))]
        if not stale:
            return
        others = [one for one in known.closed.values() if one is not None]
        for start in stale:
            known.still_open[start] = spans.now_ms, judge(start, False, others)
        known.read_at_s = now_s


def _is_stale(known: _Known[T], spans: Spans, start_ms: int) -> bool:
    """Whether an open span is worth another look."""
    seen_ms, _ = known.still_open[start_ms]
    return spans.now_ms - seen_ms > max(0, spans.now_ms - start_ms - spans.length_ms) * _OPEN_EVERY_SHARE
