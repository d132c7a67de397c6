"""Tiles: the mergeable partial aggregates of one (view, bucket size, key, bucket start), many at a time as rows of float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tidemill.events import Columns
from tidemill.features.aggregates import Aggregate, Inputs
from tidemill.features.expressions import Expression
from tidemill.features.feature import Feature
from tidemill.kernels import Floats, Ints, merge_runs


@dataclass(frozen=True)
class Slot:
    """One aggregate's place in a tile: columns `begin:end` of the row."""

    aggregate: Aggregate
    expression: Expression | None
    begin: int
    end: int


@dataclass(frozen=True)
class Layout:
    """What the tiles of one view and bucket size hold, side by side.

    >>> from tidemill.features.feature import count, mean
    >>> Layout.of([count(over="1h"), mean("delay", over="1h")]).width
    3
    """

    slots: Mapping[tuple[str, str], Slot]
    width: int

    @classmethod
    def of(cls, features: Sequence[Feature]) -> Layout:
        """The layout that serves these features; equal slots are kept once. Sketches, which no row holds, are left out."""
        slots: dict[tuple[str, str], Slot] = {}
        width = 0
        for feature in features:
            aggregate = feature.aggregate
            if isinstance(aggregate, Aggregate) and feature.slot not in slots:
                end = width + aggregate.width
                slots[feature.slot] = Slot(aggregate, feature.expression, width, end)
                width = end
        return cls(slots, width)

    @property
    def signature(self) -> tuple[tuple[str, str], ...]:
        """Layouts with one signature hold the same things in the same places."""
        return tuple(self.slots)

    def lift(self, columns: Columns, event_time_ms: Ints, event_ids: Sequence[str]) -> Floats:
        """(n, width): each event as a tile of its own.

        Args:
            columns: (n,) columns of the fields that the features read.
            event_time_ms: (n,) int64.
            event_ids: n ids.
        """
        n_rows = len(event_time_ms)
        states = np.empty((n_rows, self.width))
        events = Inputs(np.ones(n_rows), event_time_ms, event_ids)
        for slot in self.slots.values():
            inputs = events if slot.expression is None else events.with_values(slot.expression.evaluate(columns))
            states[:, slot.begin : slot.end] = slot.aggregate.lift(inputs)
        return states

    @cached_property
    def merges(self) -> Ints:
        """(width,) how each column is merged."""
        return np.array([how for slot in self.slots.values() for how in slot.aggregate.merges], dtype=np.int64)

    def reads(self, features: Sequence[Feature], windows_ms: Sequence[int]) -> Ints:
        """(features, 5) what `read_values` needs, for features over these windows."""
        slots = [self.slots[feature.slot] for feature in features]
        return np.array(
            [
                (slot.aggregate.says, len(windows_ms), windows_ms.index(feature.window_ms), slot.begin, slot.end)
                for feature, slot in zip(features, slots, strict=True)
            ],
            dtype=np.int64,
        )

    def reduce(self, states: Floats, starts: Ints) -> Floats:
        """Merge runs of (m, width) rows; run i is `starts[i]:starts[i + 1]`, none empty. Answers (len(starts), width)."""
        return merge_runs(self.merges, states, starts)

    def neutral(self, n_rows: int) -> Floats:
        """(n_rows, width): tiles of no events."""
        states = np.empty((n_rows, self.width))
        states[:] = self._neutral_row
        return states

    @cached_property
    def _neutral_row(self) -> Floats:
        return np.array([number for slot in self.slots.values() for number in slot.aggregate.neutral])
