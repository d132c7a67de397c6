"""The reference as if it were live: its own windows and weeks, each judged by what the others say.

A reference compared with itself looks calmer than the next week will be. So each block is left out in turn: bins, medians and
percentiles come from the other blocks, and what the block then scores is what a new one may score.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tidemill.drift.reference import LEAST_BET_SPREAD, WINDOW_ROWS, Calibration, ColumnProfile, Ordinary, Values, Volume, as_numbers
from tidemill.drift.statistics import Counts, Floats
from tidemill.kernels import advance_bets, idle_sums

Rows = npt.NDArray[np.int64]

RANGE_MARGIN = 0.5  # widths of the reference's range that a value may lie outside of it
SLOTS = 28  # of a cycle: 6 hours each in a week
_LEAST_WINDOWS = 5
_FEW_BLOCKS = 5
_LEAST_VOLUME_CYCLES = 3


@dataclass(frozen=True)
class Blocks:
    """The disjoint windows of a reference in time order, and the block each belongs to; blocks hold equally many windows, or one more."""

    of_window: Rows

    @property
    def n_blocks(self) -> int:
        """How many there are."""
        return int(self.of_window[-1]) + 1

    @property
    def n_rows(self) -> int:
        """Rows in whole windows."""
        return self.of_window.size * WINDOW_ROWS

    @classmethod
    def of(cls, n_rows: int, cycles: int) -> Blocks | None:
        """A block a cycle, or five where there are not two cycles; None for fewer than five windows.

        >>> Blocks.of(1_200, 3).of_window.tolist()
        [0, 0, 1, 1, 2, 2]
        """
        n_windows = n_rows // WINDOW_ROWS
        if n_windows < _LEAST_WINDOWS:
            return None
        n_blocks = min(cycles if cycles > 1 else _FEW_BLOCKS, n_windows // 2)
        return cls(np.arange(n_windows) * n_blocks // n_windows)


def replay_column(column: ColumnProfile, values: Values, codes: Rows, blocks: Blocks) -> ColumnProfile:
    """The column with what its replay says of windows, bets and checks.

    Args:
        column: with its counts.
        values: (n_rows,) in time order.
        codes: (n_rows,) the bins of the values.
        blocks: of these rows.
    """
    cells = codes[: blocks.n_rows] + column.n_bins * np.repeat(np.arange(blocks.of_window.size), WINDOW_ROWS)
    counts = np.bincount(cells, minlength=blocks.of_window.size * column.n_bins).reshape(-1, column.n_bins)
    total = np.asarray(column.counts)
    others = np.stack([total - counts[blocks.of_window == block].sum(axis=0) for block in range(blocks.n_blocks)])
    statistics = np.empty(blocks.of_window.size)
    for block, rest in enumerate(others):
        inside = blocks.of_window == block
        statistics[inside] = column.statistic(counts[inside], rest)
    single = _scores(statistics[:, None], blocks, column.least_spread)[:, 0]
    twice = np.minimum(single, np.concatenate((single[:1], single[:-1])))
    heights = _bet_heights(column, codes, others, blocks)
    bets = _scores(heights, blocks, LEAST_BET_SPREAD).max(axis=1)
    return replace(
        column,
        window=_calibration(statistics),
        bets=tuple(_calibration(heights[:, bet]) for bet in range(heights.shape[1])),
        window_peaks=_peaks(twice, blocks),
        bet_peaks=_peaks(bets, blocks),
        ordinary=_ordinary(column, values, longest_run(same_as_before(values, codes)), (counts, others), blocks),
    )


def longest_run(same: npt.NDArray[np.bool_]) -> int:
    """The longest row of equal values; `same` (n_rows - 1,) says which rows equal the one before.

    >>> longest_run(np.array([True, True, False, True]))
    3
    """
    breaks = np.flatnonzero(~same)
    return int(np.diff(np.concatenate(([-1], breaks, [same.size]))).max())


def same_as_before(values: Values, codes: Rows) -> npt.NDArray[np.bool_]:
    """(n_rows - 1,) which rows have the value of the row before; missing equals missing, and bins stand for values that are no numbers."""
    if values.dtype.kind not in "fiub":
        return np.asarray(codes[1:] == codes[:-1])
    numbers = values.astype(np.float64)
    return np.asarray((numbers[1:] == numbers[:-1]) | (np.isnan(numbers[1:]) & np.isnan(numbers[:-1])))


def replay_volume(at_ms: Rows, cycles: int, cycle_ms: int) -> Volume | None:
    """Rows by slot of the cycle; None with too few cycles to say what is usual.

    Args:
        at_ms: (n_rows,) rising.
        cycles: whole cycles in them.
        cycle_ms: length of a cycle.
    """
    if cycles < _LEAST_VOLUME_CYCLES:
        return None
    slot_ms = max(cycle_ms // SLOTS, 1)
    slots = (at_ms - at_ms[0]) // slot_ms
    rows = np.bincount(slots[slots < cycles * SLOTS], minlength=cycles * SLOTS).reshape(cycles, SLOTS).astype(np.float64)
    usual = (rows.sum(axis=0) - rows) / (cycles - 1)
    strayed = np.abs(strayed_by(rows, usual)).ravel()
    blocks = Blocks(np.repeat(np.arange(cycles), SLOTS))
    peaks = _peaks(_scores(strayed[:, None], blocks, 1.0)[:, 0], blocks)
    return Volume(slot_ms, tuple(rows.mean(axis=0).tolist()), _calibration(strayed), peaks)


def strayed_by(rows: Floats, usual: Floats) -> Floats:
    """How far counts are from what is usual, in standard deviations of a Poisson count."""
    return np.asarray((rows - usual) / np.sqrt(usual + 1.0))


def _bet_heights(column: ColumnProfile, codes: Rows, others: Counts, blocks: Blocks) -> Floats:
    """(n_windows, n_bets) the largest each sum was in each window, with bets made of the other blocks."""
    gains = [np.ascontiguousarray(column.gains(rest)) for rest in others]
    n_bets = gains[0].shape[1]
    sums, since_ms, _ = idle_sums(n_bets)
    heights, never, times = np.zeros((blocks.of_window.size, n_bets)), np.full(n_bets, np.inf), np.zeros(WINDOW_ROWS, dtype=np.int64)
    for window, block in enumerate(blocks.of_window.tolist()):
        rows = codes[window * WINDOW_ROWS : (window + 1) * WINDOW_ROWS]
        advance_bets(rows, times, gains[block], never, sums, since_ms, heights[window], False)
    return heights


def _scores(statistics: Floats, blocks: Blocks, least_spread: float) -> Floats:
    """(n_windows, n) statistics as scores, each by median and 99th percentile of the other blocks."""
    scores = np.empty_like(statistics)
    for block in range(blocks.n_blocks):
        inside = blocks.of_window == block
        median, q99 = np.quantile(statistics[~inside], (0.5, 0.99), axis=0)
        scores[inside] = (statistics[inside] - median) / np.maximum(q99 - median, least_spread)
    return scores


def _peaks(scores: Floats, blocks: Blocks) -> tuple[float, ...]:
    starts = np.flatnonzero(np.diff(blocks.of_window, prepend=-1))
    return tuple(np.maximum.reduceat(scores, starts).round(4).tolist())


def _calibration(statistics: Floats) -> Calibration:
    median, q99 = np.quantile(statistics, (0.5, 0.99))
    return Calibration(median=float(median), q99=float(q99), maximum=float(statistics.max()))


def _ordinary(column: ColumnProfile, values: Values, run: int, counted: tuple[Counts, Counts], blocks: Blocks) -> Ordinary:
    counts, others = counted
    missing = int(counts[:, -1].max())
    if column.kind == "categorical":
        unseen = max(int(counts[window][:-1][others[block][:-1] == 0].sum()) for window, block in enumerate(blocks.of_window))
        return Ordinary(None, None, run, missing=missing, unseen=unseen)
    windows = as_numbers(values[: blocks.n_rows], column.name).reshape(-1, WINDOW_ROWS)
    finite = np.isfinite(windows)
    lows = _by_block(np.minimum, np.where(finite, windows, np.inf), blocks)
    highs = _by_block(np.maximum, np.where(finite, windows, -np.inf), blocks)
    beyond = 0
    for block in range(blocks.n_blocks):
        low, high = np.delete(lows, block).min(), np.delete(highs, block).max()
        beyond = max(beyond, int(outside(windows[blocks.of_window == block], low, high).sum(axis=1).max()))
    low, high = float(lows.min()), float(highs.max())
    return Ordinary(low if np.isfinite(low) else None, high if np.isfinite(high) else None, run, beyond=beyond, missing=missing)


def outside(numbers: Floats, low: float, high: float) -> npt.NDArray[np.bool_]:
    """Which numbers lie outside of a range by more than half its width; missing ones do not."""
    if low > high:  # a column without any finite value has no range
        return np.zeros(numbers.shape, dtype=np.bool_)
    slack = RANGE_MARGIN * (high - low)
    return np.asarray((numbers < low - slack) | (numbers > high + slack))


def _by_block(least: np.ufunc, windows: Floats, blocks: Blocks) -> Floats:
    starts = np.flatnonzero(np.diff(blocks.of_window, prepend=-1))
    return np.asarray(least.reduceat(least.reduce(windows, axis=1), starts))
