"""States of the past: which events each of many questions may read, and what it knew of them."""

from __future__ import annotations

import numpy as np

from tidemill.kernels.compiling import Floats, Ints, compiled
from tidemill.kernels.states import SPREAD, merge_state


@compiled
def find_runs(places: Ints, begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """For each of n questions the first row whose place is in `[begin, end)`, and how many are; all three rise, so one walk finds them."""
    first, count = np.empty(len(begin), np.int64), np.empty(len(begin), np.int64)
    low = high = 0
    for question in range(len(begin)):
        while low < len(places) and places[low] < begin[question]:
            low += 1
        while high < len(places) and places[high] < end[question]:
            high += 1
        first[question], count[question] = low, high - low
    return first, count


@compiled
def cover_runs(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """The rows that any of n runs `low:high` has, rising, and (n,) where each run begins among those alone.

    The runs rise; some may be empty.
    """
    rows, first = np.empty(high.max() if len(high) else 0, np.int64), np.empty(len(low), np.int64)
    done = n_rows = 0
    for run in range(len(low)):
        first[run] = n_rows - max(done - low[run], 0)
        for row in range(max(low[run], done), high[run]):
            rows[n_rows] = row
            n_rows += 1
        done = max(done, high[run])
    return rows[:n_rows].copy(), first


@compiled
def merge_known(merges: Ints, states: Floats, known: Ints, runs: tuple[Ints, Ints], known_up_to: Ints, merged: Floats) -> None:
    """Merge into each of n questions' row of `merged` the states that it knows.

    Args:
        merges: how states are merged.
        states: (m, width), one an event.
        known: (m,) when each became known.
        runs: (n,) the first state of each question, and how many there are.
        known_up_to: (n,) up to what it knows.
        merged: (n, width), changed in place.
    """
    is_odd = bool(np.any(merges >= SPREAD))
    low, count = runs
    for question in range(len(low)):
        for row in range(low[question], low[question] + count[question]):
            if known[row] <= known_up_to[question]:
                merge_state(merges, is_odd, merged, question, states, row, 0)


@compiled
def run_up_states(merges: Ints, states: Floats, starts: Ints) -> None:
    """Merge into each of (m, width) states, in place, those before it in its run; run i is `starts[i]:starts[i + 1]`."""
    is_odd = bool(np.any(merges >= SPREAD))
    for run in range(len(starts)):
        end = starts[run + 1] if run + 1 < len(starts) else len(states)
        for row in range(starts[run] + 1, end):
            merge_state(merges, is_odd, states, row, states, row - 1, 0)


@compiled
def merge_tiles_known(merges: Ints, tiles: tuple[Floats, Ints, Ints], runs: tuple[Ints, Ints], known_up_to: Ints, merged: Floats) -> None:
    """Merge into each of n questions' row of `merged` its tiles, each as it stood with what the question knows.

    Args:
        merges: how states are merged.
        tiles: (m, width) the running states, (m,) when each came to be, rising within a tile, and (t + 1,) where the tiles begin.
        runs: (n,) the first tile of each question, and how many there are.
        known_up_to: (n,) up to what it knows.
        merged: (n, width), changed in place.
    """
    is_odd = bool(np.any(merges >= SPREAD))
    states, known, edges = tiles
    low, count = runs
    for question in range(len(low)):
        for tile in range(low[question], low[question] + count[question]):
            begin, end = edges[tile], edges[tile + 1]
            if known[end - 1] > known_up_to[question]:
                end = begin + np.searchsorted(known[begin:end], known_up_to[question], side="right")
            if end > begin:
                merge_state(merges, is_odd, merged, question, states, end - 1, 0)
