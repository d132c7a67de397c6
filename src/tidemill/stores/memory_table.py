"""A hash table in memory, as those in files lie in theirs, so that the same compiled loop reads what came from a database."""

from __future__ import annotations

import numpy as np

from tidemill.kernels import STATE, Floats, Tags, claim_rows, put_rows


def memory_table(a: Tags, b: Tags, states: Floats) -> tuple[Tags, Tags]:
    """The index and the rows of a table that holds (n, width) states under n distinct digests."""
    n_rows, width = states.shape
    capacity = 1 << max(n_rows, 1).bit_length()
    index, rows = np.zeros(2 * capacity, dtype=np.uint64), np.zeros((capacity, STATE + width), dtype=np.uint64)
    places, _ = claim_rows(index, rows, np.zeros(1, dtype=np.int64), a, b)
    put_rows(rows, rows.view(np.float64), places, b, states)
    return index, rows
