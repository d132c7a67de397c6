"""From a budget of false alarms to thresholds: how often would the reference have alarmed, had it been live?

Each column is replayed block by block (a block is a whole cycle), every block judged by what is known from the others. What remains
are its peaks: one number a column and block. The thresholds are set where so many peaks lie above them as the budget allows; beyond
the largest peaks an exponential tail goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tidemill.clock import DAY_MS
from tidemill.drift.baseline import OutcomeSettings
from tidemill.drift.reference import ColumnProfile, ReferenceProfile
from tidemill.drift.statistics import Floats
from tidemill.learning import Budget

# How the budget of the warnings is divided: the windows and the bets watch every column all the time, the rest seldom speaks.
WINDOWS_SHARE, BETS_SHARE, CHECKS_SHARE, DOMAIN_SHARE = 0.4, 0.4, 0.1, 0.1
_SCORE_SHARE = 0.2  # of the budget of windows and of bets; the columns share the rest
_PROVISIONAL_BLOCKS, _PROVISIONAL_MARGIN = 10, 2.0
_JUMPY = 2.0
DEFAULT_BUDGET = Budget.parse("1/30d")

# How the budget of the alarms is divided. With thresholds 10 and 5 errors and residuals together gave 0.4 false alarms in 30 days of shuffled
# days of the 2013 New York flights (8 runs of 120 judged days); the formula below gives 0.42 to the residuals alone, so that at most
# a tenth is taken to be the errors' at 10.
_RESIDUAL_SHARE, _CERTAINTY_SHARE, _ERROR_SHARE = 0.5, 0.3, 0.2
_ERROR_AT_DEFAULT = Budget(0.1, 30 * DAY_MS)
_LEAST_ERROR = 4.0
_OVERSHOOT = 1.166  # of a random walk with normal steps over a line, at both ends


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


def outcome_settings(budget: Budget, cycle_ms: int) -> OutcomeSettings:
    """How labelled outcomes are judged: the thresholds follow from the budget, and a baseline holds a whole cycle.

    The residual and certainty CUSUMs are textbook ones, of days in standard deviations: their average run length is known. The errors' likelihood ratios
    alarm e times less often with each nat, counted from the measured point; below 4 a few unlucky labels would do.

    Args:
        budget: of all together.
        cycle_ms: the longest regular rhythm of the data.

    Source: Siegmund, "Sequential Analysis", 1985, chapter 2.6 (run length with corrected boundaries); Lorden, "Procedures for reacting
    to a change in distribution", 1971 (likelihood ratios).

    >>> settings = outcome_settings(Budget.parse("1/30d"), cycle_ms=7 * DAY_MS)
    >>> round(settings.error_threshold, 2), round(settings.residual_threshold, 2)
    (9.31, 3.95)
    """
    usual = OutcomeSettings(baseline_ms=cycle_ms)
    nats = math.log(_ERROR_AT_DEFAULT.within(DAY_MS) / budget.part(_ERROR_SHARE).within(DAY_MS))
    residual_blocks = 2.0 / budget.part(_RESIDUAL_SHARE).within(usual.block_ms)  # of each of the two sums between two false alarms
    certainty_blocks = 1.0 / budget.part(_CERTAINTY_SHARE).within(usual.block_ms)
    return replace(
        usual,
        error_threshold=max(usual.error_threshold + nats, _LEAST_ERROR),
        residual_threshold=_threshold_of_run_length(residual_blocks, usual.residual_slack),
        certainty_threshold=_threshold_of_run_length(certainty_blocks, usual.residual_slack),
    )


def run_length(threshold: float, slack: float) -> float:
    """Steps between two false alarms of a one-sided CUSUM of standard normal steps.

    >>> round(run_length(5.0, 0.25))
    142
    """
    reach = 2.0 * slack * (threshold + _OVERSHOOT)
    return (math.exp(reach) - reach - 1.0) / (2.0 * slack**2)


def _threshold_of_run_length(steps: float, slack: float) -> float:
    low, high = 0.0, 1_000.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if run_length(middle, slack) < steps else (low, middle)
    return high
