"""The distribution of a column in a few bins, what was learnt from beside what is asked now: to be looked at, nothing follows from it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from tidemill.drift.reference import ColumnProfile
from tidemill.drift.statistics import Counts, Floats

_BINS = 14  # of equal width; values beyond them are in one bin at each end
_CATEGORIES = 10
_ENDS = (0.02, 0.98)  # quantiles of the reference between which the bins of equal width lie


def shape(column: ColumnProfile, counts: Counts) -> dict[str, Any]:
    """Shares of the reference's rows and of a window's, by bin, as plain JSON values.

    Args:
        column: of the reference.
        counts: (n_bins,) rows of the window in the bins of the reference, missing last.

    Returns:
        `labels` (n,) of the bins, `reference` and `now` (n,) shares of all rows; missing is the last bin.

    >>> column = ColumnProfile("port", "categorical", (), ("north", "south"), counts=(60, 30, 0, 10))
    >>> shape(column, np.array([10, 10, 0, 0]))
    {'labels': ['north', 'south', 'others', 'missing'], 'reference': [0.6, 0.3, 0.0, 0.1], 'now': [0.5, 0.5, 0.0, 0.0]}
    """
    both = np.vstack([np.asarray(column.counts, dtype=np.float64), np.asarray(counts, dtype=np.float64)])
    shares = both / np.maximum(both.sum(axis=1, keepdims=True), 1.0)
    labels, binned = _numeric(column, shares) if column.kind == "numeric" else _categorical(column, shares)
    rounded = np.round(np.maximum(binned, 0.0), 4).tolist()  # a difference of shares may miss 0 by a rounding
    return {"labels": [*labels, "missing"], "reference": rounded[0], "now": rounded[1]}


def _categorical(column: ColumnProfile, shares: Floats) -> tuple[list[str], Floats]:
    """Those that are most frequent in either, in the order of the reference; all others are one."""
    named = shares[:, : len(column.categories)]
    kept = np.sort(np.argsort(-named.max(axis=0), kind="stable")[:_CATEGORIES])
    rest = shares[:, :-1].sum(axis=1) - named[:, kept].sum(axis=1)
    return [*(column.categories[place] for place in kept), "others"], np.column_stack([named[:, kept], rest, shares[:, -1]])


def _numeric(column: ColumnProfile, shares: Floats) -> tuple[list[str], Floats]:
    """Bins of equal width; within a bin of the reference its rows are taken to lie evenly."""
    edges = np.asarray(column.edges)
    if len(edges) < 2 or edges[0] == edges[-1]:
        value = f"{edges[0]:.4g}" if len(edges) else "nothing"
        below, above = shares[:, :1], shares[:, 1:-1].sum(axis=1, keepdims=True)
        return [f"up to {value}", f"above {value}"], np.column_stack([below, above, shares[:, -1:]])
    known = np.cumsum(shares[:, :-1], axis=1)[:, : len(edges)]  # share of the rows up to each edge
    within = known[0] / max(known[0, -1], 1e-12)
    low, high = (edges[min(int(np.searchsorted(within, end)), len(edges) - 1)] for end in _ENDS)
    if low == high:
        low, high = edges[0], edges[-1]
    cuts = np.linspace(low, high, _BINS + 1)
    upto = np.vstack([np.interp(cuts, edges, row) for row in known])
    total = shares[:, :-1].sum(axis=1, keepdims=True)
    texts = [f"{cut:.4g}" for cut in cuts]
    labels = [f"up to {texts[0]}", *(f"{one} to {other}" for one, other in pairwise(texts)), f"above {texts[-1]}"]
    return labels, np.column_stack([upto[:, :1], np.diff(upto, axis=1), total - upto[:, -1:], shares[:, -1:]])
