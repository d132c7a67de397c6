"""Rows of hash tables: found, claimed, merged and put; see `tidemill.stores.hash_table` for how they lie."""

from __future__ import annotations

import numpy as np

from tidemill.kernels.compiling import Flags, Floats, Ints, Tags, compiled
from tidemill.kernels.states import SPREAD, merge_state

A, B, STATE = 0, 1, 2  # the columns of a row: its digest, and where its state begins
_ZERO, _ONE, _HIGH = np.uint64(0), np.uint64(1), np.uint64(32)
_ROW = np.uint64(0xFFFFFFFF)


@compiled
def _look(index: Tags, tags: Tags, a: Tags, b: Tags) -> Ints:
    """The rows of those digests that stand in their first slot, -1 for others.

    None of these loads waits for another one, so what lies in memory is fetched many at a time.
    """
    mask = np.uint64(len(index) - 1)
    entries, rows = np.empty(len(a), np.uint64), np.empty(len(a), np.int64)
    for place in range(len(a)):
        entries[place] = index[a[place] & mask]
    for place in range(len(a)):
        rows[place] = -1
        if entries[place] != _ZERO and (entries[place] ^ a[place]) >> _HIGH == _ZERO:
            row = np.int64(entries[place] & _ROW) - 1
            if tags[row, B] == b[place] and tags[row, A] == a[place]:
                rows[place] = row
    return rows


@compiled
def _search(index: Tags, tags: Tags, a: np.uint64, b: np.uint64) -> tuple[np.int64, np.uint64]:
    """The row of a digest, -1 for absent, and the slot where the search ended."""
    mask = np.uint64(len(index) - 1)
    slot = a & mask
    while index[slot] != _ZERO:
        if (index[slot] ^ a) >> _HIGH == _ZERO:
            row = np.int64(index[slot] & _ROW) - 1
            if tags[row, B] == b and tags[row, A] == a:
                return row, slot
        slot = (slot + _ONE) & mask
    return np.int64(-1), slot


@compiled
def find_rows(index: Tags, tags: Tags, a: Tags, b: Tags) -> Ints:
    """The rows of n digests; -1 for one that is not there."""
    rows = _look(index, tags, a, b)
    for place in range(len(a)):
        if rows[place] < 0:
            rows[place] = _search(index, tags, a[place], b[place])[0]
    return rows


@compiled
def claim_rows(index: Tags, tags: Tags, used: Ints, a: Tags, b: Tags) -> tuple[Ints, Flags]:
    """The rows of n distinct digests, and which of them were not there: those get the next rows, which say nothing until they are put."""
    rows, fresh = _look(index, tags, a, b), np.zeros(len(a), np.bool_)
    for place in range(len(a)):
        if rows[place] >= 0:
            continue
        row, slot = _search(index, tags, a[place], b[place])
        if row < 0:
            row = used[0]
            used[0] = row + 1
            tags[row, A] = a[place]
            tags[row, B] = _ZERO
            index[slot] = (a[place] >> _HIGH << _HIGH) | np.uint64(row + 1)
            fresh[place] = True
        rows[place] = row
    return rows, fresh


@compiled
def enter_rows(index: Tags, tags: Tags, n_rows: int) -> None:
    """Enter every row that was put into an empty index."""
    mask = np.uint64(len(index) - 1)
    for row in range(n_rows):
        if tags[row, B] != _ZERO:
            a = tags[row, A]
            slot = a & mask
            while index[slot] != _ZERO:
                slot = (slot + _ONE) & mask
            index[slot] = (a >> _HIGH << _HIGH) | np.uint64(row + 1)


@compiled
def merge_rows(merges: Ints, cells: Floats, rows: Ints, fresh: Flags, states: Floats) -> None:
    """Merge what the rows hold into n states, but for the fresh ones."""
    is_odd = bool(np.any(merges >= SPREAD))
    for place in range(len(rows)):
        if not fresh[place]:
            merge_state(merges, is_odd, states, place, cells, rows[place], STATE)


@compiled
def put_rows(tags: Tags, cells: Floats, rows: Ints, b: Tags, states: Floats) -> None:
    """Fill n rows: their second tags and (n, width) states."""
    for place in range(len(rows)):
        cells[rows[place], STATE:] = states[place]
        tags[rows[place], B] = b[place]
