"""From a budget of false alarms to the thresholds of labelled outcomes."""

from __future__ import annotations

import math
from dataclasses import replace

from tidemill.clock import DAY_MS
from tidemill.drift.baseline import OutcomeSettings
from tidemill.learning import Budget

# How the budget of the alarms is divided. With thresholds 10 and 5 errors and residuals together gave 0.4 false alarms in 30 days of
# shuffled days of the 2013 New York flights (8 runs of 120 judged days); the formula below gives 0.42 to the residuals alone, so that
# at most a tenth is taken to be the errors' at 10.
_RESIDUAL_SHARE, _CERTAINTY_SHARE, _SUDDEN_SHARE, _ERROR_SHARE = 0.4, 0.25, 0.2, 0.15
_ERROR_AT_DEFAULT = Budget(0.1, 30 * DAY_MS)
_LEAST_ERROR = 4.0
# Few labels beyond a multiple of the worst of the baseline: 2 gave 0.28, 0.59 and 0.36 alarms in 30 days of those days (three versions,
# 16 runs each), 2.5 none, 0.12 and 0.14. So half as much again of the baseline's worst is about a factor of three.
_SUDDEN_AT_DEFAULT = Budget(0.2, 30 * DAY_MS)
_MARGIN_A_NAT, _LEAST_MARGIN = 0.45, 1.5
_OVERSHOOT = 1.166  # of a random walk with normal steps over a line, at both ends


def outcome_settings(budget: Budget, cycle_ms: int) -> OutcomeSettings:
    """How labelled outcomes are judged: the thresholds follow from the budget, and a baseline holds a whole cycle.

    The residual and certainty CUSUMs are textbook ones, of days in standard deviations: their average run length is known. The errors'
    likelihood ratios alarm e times less often with each nat, counted from the measured point; below 4 a few unlucky labels would do.
    The margin of sudden errors is counted from a measured point too.

    Args:
        budget: of all together.
        cycle_ms: the longest regular rhythm of the data.

    Source: Siegmund, "Sequential Analysis", 1985, chapter 2.6 (run length with corrected boundaries); Lorden, "Procedures for reacting
    to a change in distribution", 1971 (likelihood ratios).

    >>> settings = outcome_settings(Budget.parse("1/30d"), cycle_ms=7 * DAY_MS)
    >>> round(settings.error_threshold, 2), round(settings.residual_threshold, 2)
    (9.59, 5.09)
    """
    usual = OutcomeSettings(baseline_ms=cycle_ms)
    nats = math.log(_ERROR_AT_DEFAULT.within(DAY_MS) / budget.part(_ERROR_SHARE).within(DAY_MS))
    residual_blocks = 2.0 / budget.part(_RESIDUAL_SHARE).within(usual.block_ms)  # of each of the two sums between two false alarms
    sudden_nats = math.log(_SUDDEN_AT_DEFAULT.within(DAY_MS) / budget.part(_SUDDEN_SHARE).within(DAY_MS))
    certainty_blocks = 1.0 / budget.part(_CERTAINTY_SHARE).within(usual.block_ms)
    return replace(
        usual,
        error_threshold=max(usual.error_threshold + nats, _LEAST_ERROR),
        residual_threshold=_threshold_of_run_length(residual_blocks, usual.residual_slack),
        certainty_threshold=_threshold_of_run_length(certainty_blocks, usual.residual_slack),
        sudden_margin=max(usual.sudden_margin + _MARGIN_A_NAT * sudden_nats, _LEAST_MARGIN),
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
