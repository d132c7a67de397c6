"""The least and the greatest value."""

from __future__ import annotations

import numpy as np

from tidemill.features.aggregates import Aggregate, Inputs
from tidemill.kernels import EXTREME, GREATEST, LEAST, Floats


class Min(Aggregate):
    """The least value, missing for none; state: (least or +inf)."""

    kind = "min"
    neutral = (np.inf,)
    merges = (LEAST,)
    says = EXTREME

    def lift(self, inputs: Inputs) -> Floats:
        """See `Aggregate`."""
        return np.where(np.isnan(inputs.values), np.inf, inputs.values)[:, None]

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return f"min({expression}) filter (where {condition})"


class Max(Aggregate):
    """The greatest value, missing for none; state: (greatest or -inf)."""

    kind = "max"
    neutral = (-np.inf,)
    merges = (GREATEST,)
    says = EXTREME

    def lift(self, inputs: Inputs) -> Floats:
        """See `Aggregate`."""
        return np.where(np.isnan(inputs.values), -np.inf, inputs.values)[:, None]

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return f"max({expression}) filter (where {condition})"
