"""What a betting detector bets on: how much a row of each bin is worth to one who says that the column has changed in some way.

A bet is a game that is fair under the reference: its payoff 1 + lambda g has mean 1 when rows come from the reference. Who plays it on
changed rows becomes rich. The gain of a row is the logarithm of its payoff, in nats.

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024; Shekhar and Ramdas,
"Reducing sequential change detection to sequential estimation", 2023.
"""

from __future__ import annotations

import numpy as np

from tidemill.drift.statistics import Counts, Floats

# Stakes on the mean rank: the best stake for a shift is about three times the change of the mean rank, so that these are made for
# shifts of a tenth, a quarter and a whole standard deviation.
_SHIFT_STAKES = (0.15, 0.4, 0.9)
_SPREAD_STAKES = (0.4, 0.9)
_MOST_FREQUENT = 8
# A share of 0 in the reference would make a single row infinitely surprising.
_LEAST_SHARE = 0.005


def numeric_gains(counts: Counts) -> Floats:
    """The bets of a numeric column: on larger and smaller values, on wider and narrower ones, on more and fewer missing.

    Args:
        counts: (n_bins,) reference rows in each bin, in the order of the values; missing values have the last.

    Returns:
        (n_bins, 12) nats.

    >>> gains = numeric_gains(np.array([1, 1, 1, 1, 0]))
    >>> gains.shape, bool(gains[3, 2] > 0 > gains[0, 2])
    ((5, 12), True)
    """
    rows = np.asarray(counts, dtype=np.float64)
    share = rows[:-1] / max(rows[:-1].sum(), 1.0)
    rank = 2.0 * (share.cumsum() - share / 2.0) - 1.0  # the mean rank of a bin, -1 to 1; its mean over the reference is 0
    spread = 1.5 * rank**2
    spread = spread - share @ spread
    spread = spread / max(1.0, float(np.abs(spread).max(initial=0.0)))
    staked = [stake * sign * rank for stake in _SHIFT_STAKES for sign in (1.0, -1.0)]
    staked += [stake * sign * spread for stake in _SPREAD_STAKES for sign in (1.0, -1.0)]
    present = np.log1p(np.stack(staked, axis=1))
    return np.column_stack((np.vstack((present, np.zeros((1, present.shape[1])))), _missing_gains(rows)))


def categorical_gains(counts: Counts) -> Floats:
    """The bets of a categorical column: on each of the eight most frequent categories and on all unnamed ones becoming more frequent
    by a little, by much, or less frequent; and on more and fewer missing.

    Args:
        counts: (n_bins,) reference rows of each category by falling count, then of all others, then missing.

    Returns:
        (n_bins, 3 * min(n_categories, 8) + 5) nats.
    """
    rows = np.asarray(counts, dtype=np.float64)
    named = min(rows.size - 2, _MOST_FREQUENT)
    gains = [_share_gains(rows, place, grown) for place in (*range(named), rows.size - 2) for grown in (0.05, 0.2, -0.4)]
    return np.column_stack((*gains, _missing_gains(rows)))


def _missing_gains(rows: Floats) -> Floats:
    return np.column_stack([_share_gains(rows, rows.size - 1, grown) for grown in (0.05, -0.5)])


def _share_gains(rows: Floats, place: int, grown: float) -> Floats:
    """The likelihood ratio of a bin's share having grown by a part of the rest, or shrunk by a part of itself."""
    share = rows[place] / max(rows.sum(), 1.0)
    if share < _LEAST_SHARE if grown < 0 else share > 1.0 - _LEAST_SHARE:
        return np.zeros(rows.size)  # there is nothing left to lose or to gain; a bet on it would win on every row
    share = min(max(share, _LEAST_SHARE), 1.0 - _LEAST_SHARE)
    other = share + grown * (1.0 - share if grown > 0 else share)
    gains = np.full(rows.size, np.log((1.0 - other) / (1.0 - share)))
    gains[place] = np.log(other / share)
    return gains
