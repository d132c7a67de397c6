"""Count, sum and mean: what plain addition merges."""

from __future__ import annotations

import numpy as np

from tidemill.features.aggregates import Aggregate, Inputs
from tidemill.kernels import ADD, MEAN, SUM, TOTAL, Floats

# A sum of fewer than 2**60 values below this cannot pass float64's range on the way, in any order.
HUGE = 1e289


class Count(Aggregate):
    """How many events (not null, where an expression is given); 0 for none."""

    kind = "count"
    neutral = (0.0,)
    merges = (ADD,)
    says = TOTAL

    def lift(self, inputs: Inputs) -> Floats:
        """See `Aggregate`."""
        return (~np.isnan(inputs.values)).astype(np.float64)[:, None]

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return f"cast(count({expression}) filter (where {condition}) as double)"


class Sum(Aggregate):
    """The sum; missing for no values, and where one is 1e289 or more, which could overflow in one order and not in another.

    State: (n, sum), the sum infinite once such a value was met.
    """

    kind = "sum"
    neutral = (0.0, 0.0)
    merges = (ADD, ADD)
    says = SUM

    def lift(self, inputs: Inputs) -> Floats:
        """See `Aggregate`."""
        values = inputs.values
        present = ~np.isnan(values)
        kept = np.where(np.abs(values) >= HUGE, np.inf, values)
        return np.column_stack((present.astype(np.float64), np.where(present, kept, 0.0)))

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return _sql("sum", expression, condition)


class Mean(Sum):
    """The mean, missing where the sum is; of a condition it is the share that meets it. State: (n, sum), exact for whole numbers."""

    kind = "mean"
    says = MEAN

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return _sql("avg", expression, condition)


def _sql(function: str, expression: str, condition: str) -> str:
    kept = f"case when abs({expression}) >= {HUGE} then 'infinity'::double else {expression} end"
    return f"nullif({function}({kept}) filter (where {condition}), 'infinity'::double)"
