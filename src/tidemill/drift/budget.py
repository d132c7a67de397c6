"""From a budget of false alarms to thresholds: how often would the reference have alarmed, had it been live?

Each column is replayed block by block (a block is a whole cycle), every block judged by what is known from the others. What remains
are its peaks: one number a column and block. The thresholds are set where so many peaks lie above them as the budget allows; beyond
the largest peaks an exponential tail goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tidemill.drift.reference import ColumnProfile, ReferenceProfile
from tidemill.drift.statistics import Floats
from tidemill.learning import Budget

# How the budget of the warnings is divided: the windows and the bets watch every column all the time, the rest seldom speaks.
WINDOWS_SHARE, BETS_SHARE, CHECKS_SHARE, DOMAIN_SHARE = 0.4, 0.4, 0.1, 0.1
_SCORE_SHARE = 0.2  # of the budget of windows and of bets; the columns share the rest
_PROVISIONAL_BLOCKS, _PROVISIONAL_MARGIN = 10, 2.0
_JUMPY = 2.0
DEFAULT_BUDGET = Budget.parse("1/30d")


def tail_level(peaks: Floats, alarms_per_block: float) -> float:
    """The level that the peaks of a new block exceed `alarms_per_block` times, all columns together.

    Columns that move together exceed it together, which the count of their peaks holds. The exceedances of a high level are nearly
    exponential (a CUSUM's are for any independent rows; those of bounded statistics fall faster). Their mean is known from few blocks
    only; the level is that of the predictive distribution, which is farther out the fewer there are, so that over the luck of the
    reference the expected number is the one asked for.

    Args:
        peaks: (n_columns, n_blocks) the largest score of each column in each block.
        alarms_per_block: above 0.

    Returns:
        A level not below the one that is exceeded about once a block.

    Source: Pickands, "Statistical inference using extreme order statistics", 1975 (exceedances); Gelman et al., "Bayesian Data
    Analysis", 2.7 (the predictive distribution of an exponential with a flat prior on the log of its scale).

    >>> rng = np.random.default_rng(0)
    >>> level = tail_level(rng.exponential(size=(20, 50)), 0.1)
    >>> fresh = rng.exponential(size=(20, 10_000))
    >>> round(float((fresh > level).sum() / 10_000), 1)
    0.1
    """
    n_columns, n_blocks = peaks.shape
    n_above = max(min(n_blocks, n_columns * n_blocks // 2), 1)
    ordered = np.sort(peaks, axis=None)[::-1]
    # Where columns move together the largest peaks are those of one block, and half of the blocks have to bear witness.
    floor = min(float(ordered[min(n_above, ordered.size - 1)]), float(np.median(peaks.max(axis=0))))
    above = peaks > floor
    n_known = int(above.any(axis=0).sum())  # peaks of one block are one witness
    often = float(above.sum()) / n_blocks
    if n_known == 0 or often <= alarms_per_block:
        return floor
    mean = float((peaks[above] - floor).mean())
    return float(floor + n_known * mean * ((often / alarms_per_block) ** (1.0 / n_known) - 1.0))


def score_levels(profile: ReferenceProfile, budget: Budget, peaks_of: Callable[[ColumnProfile], Sequence[float]]) -> dict[str, float]:
    """The score each column, and the model's score, must stay below; a column that was not replayed has none.

    All columns have one level, save jumpy ones: a column whose largest peak is more than twice that of nine in ten columns has its own,
    in proportion, so that it does not blind the rest. With fewer than ten blocks nobody knows how far apart two cycles can be: no level
    is then below twice the reference's own largest peak.

    Args:
        profile: the reference.
        budget: of all these levels together.
        peaks_of: the replayed peaks of a column, windows' or bets'.
    """
    features = _levels(profile.columns, peaks_of, budget.part(1.0 - _SCORE_SHARE).within(profile.block_ms * profile.share))
    return features | _levels((profile.score,), peaks_of, budget.part(_SCORE_SHARE).within(profile.score_block_ms * profile.share))


def _levels(
    columns: Sequence[ColumnProfile], peaks_of: Callable[[ColumnProfile], Sequence[float]], alarms_per_block: float
) -> dict[str, float]:
    judged = [column for column in columns if peaks_of(column)]
    if not judged:
        return {}
    peaks = np.array([peaks_of(column) for column in judged])
    largest = np.maximum(peaks.max(axis=1), 1.0)
    usual = float(np.quantile(largest, 0.9))
    jumpiness = np.maximum(largest / (_JUMPY * usual), 1.0)
    levels = jumpiness * max(tail_level(peaks / jumpiness[:, None], alarms_per_block), 1.0)
    if peaks.shape[1] < _PROVISIONAL_BLOCKS:
        levels = np.maximum(levels, _PROVISIONAL_MARGIN * np.maximum(largest, usual))
    return {column.name: float(level) for column, level in zip(judged, levels, strict=True)}
