"""Variance and standard deviation: what Chan's update merges."""

from __future__ import annotations

import numpy as np

from tidemill.features.aggregates import Aggregate, Inputs
from tidemill.kernels import DEVIATION, FOLLOWS, SPREAD, VARIANCE, Floats

# The squares of 2**60 values below this stay within float64's range, in any order.
HUGE = 1e144


class Variance(Aggregate):
    """The sample variance; missing below two values, and where one is 1e144 or more, whose square could overflow.

    State: (n, mean, M2), M2 infinite once such a value was met.

    Source: Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
    """

    kind = "variance"
    neutral = (0.0, 0.0, 0.0)
    merges = (SPREAD, FOLLOWS, FOLLOWS)
    says = VARIANCE

    def lift(self, inputs: Inputs) -> Floats:
        """See `Aggregate`."""
        values = inputs.values
        huge = np.abs(values) >= HUGE
        kept = np.where(huge | np.isnan(values), 0.0, values)
        return np.column_stack(((~np.isnan(values)).astype(np.float64), kept, np.where(huge, np.inf, 0.0)))

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return _sql("var_samp", expression, condition)


class Std(Variance):
    """The sample standard deviation, missing where the variance is."""

    kind = "std"
    says = DEVIATION

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return _sql("stddev_samp", expression, condition)


def _sql(function: str, expression: str, condition: str) -> str:
    held = f"filter (where {condition})"
    return f"case when coalesce(max(abs({expression})) {held}, 0) < {HUGE} then {function}({expression}) {held} end"
