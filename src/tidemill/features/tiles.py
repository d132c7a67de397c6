"""Tiles: the mergeable partial aggregates of one (view, bucket size, key, bucket start), many at a time as rows of float64."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from tidemill.events import Columns
from tidemill.features.aggregates import Aggregate, Floats, Ints
from tidemill.features.expressions import Expression
from tidemill.features.feature import Feature

K = TypeVar("K", bound=Hashable)


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
        """The layout that serves these features; equal slots are kept once."""
        slots: dict[tuple[str, str], Slot] = {}
        width = 0
        for feature in features:
            if feature.slot not in slots:
                end = width + feature.aggregate.width
                slots[feature.slot] = Slot(feature.aggregate, feature.expression, width, end)
                width = end
        return cls(slots, width)

    @property
    def signature(self) -> tuple[tuple[str, str], ...]:
        """Layouts with one signature hold the same things in the same places."""
        return tuple(self.slots)

    def lift(self, columns: Columns, n_rows: int) -> Floats:
        """(n_rows, width): each event as a tile of its own."""
        states = np.empty((n_rows, self.width))
        for slot in self.slots.values():
            values = np.ones(n_rows) if slot.expression is None else slot.expression.evaluate(columns)
            states[:, slot.begin : slot.end] = slot.aggregate.lift(values)
        return states

    def reduce(self, states: Floats, starts: Ints) -> Floats:
        """Merge runs of (m, width) rows; run i is `starts[i]:starts[i + 1]`, none empty. Answers (len(starts), width)."""
        merged = np.empty((len(starts), self.width))
        for aggregate, begin, end in self._merged_together:
            merged[:, begin:end] = aggregate.reduce(states[:, begin:end], starts)
        return merged

    @cached_property
    def _merged_together(self) -> list[tuple[Aggregate, int, int]]:
        """Neighbouring slots that one ufunc merges, as one: a call costs more than the columns of a few tiles."""
        runs: list[tuple[Aggregate, int, int]] = []
        for slot in self.slots.values():
            last = runs[-1] if runs else None
            if last is not None and last[0].merged_by is not None and last[0].merged_by is slot.aggregate.merged_by:
                runs[-1] = (last[0], last[1], slot.end)
            else:
                runs.append((slot.aggregate, slot.begin, slot.end))
        return runs

    def neutral(self, n_rows: int) -> Floats:
        """(n_rows, width): tiles of no events."""
        states = np.empty((n_rows, self.width))
        states[:] = [number for slot in self.slots.values() for number in slot.aggregate.neutral]
        return states

    def merge(self, states: Floats, groups: Sequence[K]) -> dict[K, Floats]:
        """Merge (m, width) rows that share a group; answers a row for each group, in order of first appearance."""
        codes_of: dict[K, int] = {}
        codes = np.fromiter((codes_of.setdefault(group, len(codes_of)) for group in groups), dtype=np.int64, count=len(groups))
        if not codes_of:
            return {}
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(codes_of)))
        return dict(zip(codes_of, self.reduce(states[order], starts), strict=True))
