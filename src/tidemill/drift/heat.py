"""How near each column came to a warning, over time, in a few cells: what the page draws, and nothing is decided by it.

```
 cells of     1 h      6 h      1 d      7 d
 remember     84 h     21 d     84 d     84 weeks, then the oldest is forgotten
```
A cell keeps the most that was seen in it. Where a coarser cell takes over, it keeps the most of those it is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tidemill.clock import DAY_MS, HOUR_MS

N_CELLS = 84
N_CHANGES = 200
STEPS_MS = (HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS)
_UNSEEN = -1
_HIGHEST = 999  # percent: what is ten times too high is too high


@dataclass(frozen=True)
class ColumnChange:
    """A column warned: since when it is taken to have changed, and when that was found; both stream time."""

    column: str
    since_ms: int
    at_ms: int


@dataclass
class Heat:
    """The cells of all columns.

    Args:
        step_ms: how much time a cell holds.
        from_ms: where the first cell begins; a multiple of `step_ms`.
        cells: by column the most that was seen in each cell, percent of what warns; -1 where nothing was.
        changes: the newest warnings, the oldest first.

    >>> heat = Heat()
    >>> heat.take(0, {"wind": 0.4}); heat.take(1_800_000, {"wind": 1.25}); heat.take(3 * 3_600_000, {"wind": 0.1})
    >>> heat.cells
    {'wind': [125, -1, -1, 10]}
    >>> Heat.from_state(heat.state()) == heat
    True
    """

    step_ms: int = STEPS_MS[0]
    from_ms: int = 0
    cells: dict[str, list[int]] = field(default_factory=dict)
    changes: list[ColumnChange] = field(default_factory=list)

    @property
    def n_cells(self) -> int:
        """How many cells there are, at most 84."""
        return max(map(len, self.cells.values()), default=0)

    def take(self, at_ms: int, levels: Mapping[str, float]) -> None:
        """Note how near columns were to a warning at a stream time; 1 is there. A time before the first cell counts in the first."""
        if not levels:
            return
        if not self.n_cells:
            self.from_ms = at_ms // self.step_ms * self.step_ms
        while (at_ms - self.from_ms) // self.step_ms >= N_CELLS and self.step_ms < STEPS_MS[-1]:
            self._coarsen()
        place = max(0, (at_ms - self.from_ms) // self.step_ms)
        if place >= N_CELLS:
            place = self._forget(place)
        length = max(self.n_cells, place + 1)
        for column in self.cells.keys() | levels.keys():
            row = self.cells.setdefault(column, [])
            row += [_UNSEEN] * (length - len(row))
        for column, level in levels.items():
            self.cells[column][place] = max(self.cells[column][place], min(round(100 * level), _HIGHEST))

    def warn(self, changes: Iterable[ColumnChange]) -> None:
        """Note warnings."""
        self.changes = [*self.changes, *changes][-N_CHANGES:]

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        changes = [[change.column, change.since_ms, change.at_ms] for change in self.changes]
        return {"step_ms": self.step_ms, "from_ms": self.from_ms, "cells": self.cells, "changes": changes}

    @classmethod
    def from_state(cls, state: Mapping[str, Any] | None) -> Self:
        """As it was; empty where nothing was kept."""
        if not state:
            return cls()
        cells = {str(column): list(row) for column, row in state["cells"].items()}
        return cls(state["step_ms"], state["from_ms"], cells, [ColumnChange(*change) for change in state["changes"]])

    def _coarsen(self) -> None:
        was_ms, self.step_ms = self.step_ms, STEPS_MS[STEPS_MS.index(self.step_ms) + 1]
        begun_ms = self.from_ms // self.step_ms * self.step_ms
        for column, row in self.cells.items():
            wider = [_UNSEEN] * ((self.from_ms + (len(row) - 1) * was_ms - begun_ms) // self.step_ms + 1)
            for place, level in enumerate(row):
                there = (self.from_ms + place * was_ms - begun_ms) // self.step_ms
                wider[there] = max(wider[there], level)
            self.cells[column] = wider
        self.from_ms = begun_ms

    def _forget(self, place: int) -> int:
        gone = place - N_CELLS + 1
        self.from_ms += gone * self.step_ms
        kept = {column: row[gone:] for column, row in self.cells.items()}
        self.cells = {column: row for column, row in kept.items() if any(level != _UNSEEN for level in row)}
        return place - gone
