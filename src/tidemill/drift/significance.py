"""Two figures people know, to be shown beside the statistics: the population stability index and the q-value. Nothing alarms on them.

On autocorrelated, cyclic data both call nearly every window drifted, however ordinary it is: they ask whether rows are independent
draws from the reference, and rows of one hour never are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tidemill.drift.reference import ColumnProfile
from tidemill.drift.statistics import Counts, Floats, chi_square, ks

_PSI_BINS = 10
_LEAST_SHARE = 1e-4


class Significance(NamedTuple):
    """Of one column in one window.

    Args:
        psi: population stability index; above 0.2 is called a shift by custom.
        q: the smallest false discovery rate at which the column would be called drifted, were the rows independent.
    """

    psi: float
    q: float


def significance(windows: Mapping[str, tuple[ColumnProfile, Counts]]) -> dict[str, Significance]:
    """PSI and q-value of columns in one window; the q-values are of all these columns together.

    Args:
        windows: by name, the column and (n_bins,) the window's rows in its bins.
    """
    p = np.array([p_value(column, counts) for column, counts in windows.values()])
    q = q_values(p)
    return {
        name: Significance(psi(column.counts, counts), float(q[place])) for place, (name, (column, counts)) in enumerate(windows.items())
    }


def psi(reference: Counts | tuple[int, ...], counts: Counts) -> float:
    """The population stability index over at most ten bins of equal reference share, and one of missing values.

    Args:
        reference: (n_bins,) rows in each bin, missing last.
        counts: (n_bins,) the same for the window.

    Source: Siddiqi, "Credit Risk Scorecards", 2006, chapter 6.

    >>> round(psi(np.array([50, 50, 0]), np.array([60, 40, 0])), 4)
    0.0405
    """
    rows = np.asarray(reference, dtype=np.float64)
    share = rows[:-1].cumsum() / max(rows[:-1].sum(), 1.0)
    middle = share - rows[:-1] / max(rows[:-1].sum(), 1.0) / 2.0
    bins = np.append(np.minimum((middle * _PSI_BINS).astype(np.int64), _PSI_BINS - 1), _PSI_BINS)
    sides = [np.bincount(bins, weights=np.asarray(side, dtype=np.float64), minlength=_PSI_BINS + 1) for side in (rows, counts)]
    ours, theirs = (np.maximum(side / max(side.sum(), 1.0), _LEAST_SHARE) for side in sides)
    return float(((theirs - ours) * np.log(theirs / ours)).sum())


def p_value(column: ColumnProfile, counts: Counts) -> float:
    """Of the two-sample KS test (numeric, missing left out) or chi-square test (categorical) of a window against the reference."""
    from scipy import special  # type: ignore[import-untyped]  # scipy ships no types; and it takes a while

    reference, window = np.asarray(column.counts, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if column.kind == "numeric":
        n, m = window[:-1].sum(), reference[:-1].sum()
        if min(n, m) == 0:
            return 1.0
        statistic = float(ks(np.append(window[:-1], 0), np.append(reference[:-1], 0)))
        return float(special.kolmogorov(statistic * np.sqrt(n * m / (n + m))))
    used = int(((window + reference) > 0).sum())
    return 1.0 if used < 2 else float(special.chdtrc(used - 1, float(chi_square(window, reference))))


def q_values(p: Floats) -> Floats:
    """(n,) p-values -> (n,) q-values.

    Source: Benjamini and Hochberg, "Controlling the false discovery rate", 1995.

    >>> q_values(np.array([0.01, 0.04, 0.5])).round(3).tolist()
    [0.03, 0.06, 0.5]
    """
    order = np.argsort(p)[::-1]
    adjusted = np.minimum.accumulate(np.minimum(p[order] * p.size / np.arange(p.size, 0, -1), 1.0)) if p.size else p
    q = np.empty(p.size)
    q[order] = adjusted
    return q
