"""Watches how many rows come: those that stay away or double show in no column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tidemill.clock import duration_text
from tidemill.drift.reference import Volume
from tidemill.drift.replay import SLOTS, strayed_by
from tidemill.drift.windows import Change, ColumnWarning

ROWS = "(rows)"  # how many rows come, watched like a column


class RowCount:
    """How many rows come in each slot of a cycle, beside the reference's and scaled to the first live cycle.

    Scaled, because the reference holds the rows that were labelled and learnt from, which may be few of all that are served.
    """

    def __init__(self, volume: Volume, start_ms: int, level: float) -> None:
        self._volume, self._start_ms = volume, start_ms
        self.threshold = volume.strayed.statistic_at(level, 1.0)
        self.slot: int | None = None
        self.n_rows = 0
        self.first_cycle = [0.0, 0.0, 0.0]  # slots, their rows, the reference's rows of them
        self.high = False

    def take(self, times: npt.NDArray[np.int64]) -> list[Change]:
        """The rows that ended a slot with an unusual number of rows, or the first usual one after; rows of an ended slot count nothing."""
        slots = (times - self._start_ms) // self._volume.slot_ms
        if self.slot is None and len(slots):
            self.slot = int(slots[0]) + 1  # the first is seen in part only
        changes: list[Change] = []
        for slot, first, n_rows in zip(*(found.tolist() for found in np.unique(slots, return_index=True, return_counts=True)), strict=True):
            if self.slot is None or slot < self.slot:
                continue
            self.slot = max(self.slot, slot - 2 * SLOTS)  # after a long stop the empty cycles need not be gone through one by one
            while self.slot < slot:
                changes += self._close(self.slot, first, int(times[first]))
                self.slot, self.n_rows = self.slot + 1, 0
            self.n_rows += n_rows
        return changes

    def _close(self, slot: int, row: int, at_ms: int) -> list[Change]:
        usual = self._volume.rows[slot % SLOTS]
        n_slots, rows, of_reference = self.first_cycle
        if n_slots < SLOTS:
            self.first_cycle = [n_slots + 1, rows + self.n_rows, of_reference + usual]
            return []
        usual *= rows / max(of_reference, 1.0)
        strayed = abs(float(strayed_by(np.array(float(self.n_rows)), np.array(usual))))
        was_high, self.high = self.high, strayed > self.threshold
        if self.high == was_high:
            return []
        if was_high:
            return [(row, ROWS, "rows", None)]
        since_ms = self._start_ms + slot * self._volume.slot_ms
        detail = f"{self.n_rows} rows in {duration_text(self._volume.slot_ms)}, about {usual:.0f} are usual at this time of the cycle"
        return [(row, ROWS, "rows", ColumnWarning(ROWS, strayed, self.threshold, since_ms, at_ms, "checks", detail))]
