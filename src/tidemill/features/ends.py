"""The first and the last value: by event time, then by event id."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tidemill.features.aggregates import Aggregate, Inputs
from tidemill.features.event_order import WORDS
from tidemill.kernels import FOLLOWS, KEPT, LATEST, Floats

_NONE = -np.inf  # the time of no event


class Last(Aggregate):
    """The value, not null, of the latest event, of several at one time that with the greatest id; missing for none.

    State: (event time or -inf, the id's words, value); the greatest row of all is kept.
    """

    kind = "last"
    neutral = (_NONE, *[0.0] * WORDS, 0.0)
    merges = (LATEST, *[FOLLOWS] * (WORDS + 1))
    says = KEPT
    sign: ClassVar[float] = 1.0
    _picked_by: ClassVar[str] = "arg_max"

    def lift(self, inputs: Inputs) -> Floats:
        """See `Aggregate`."""
        present = ~np.isnan(inputs.values)
        states = np.empty((len(present), self.width))
        states[:, 0] = self.sign * inputs.event_time_ms
        states[:, 1:-1] = self.sign * inputs.order_words
        states[:, -1] = inputs.values
        states[~present] = self.neutral
        return states

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        held = f"filter (where ({condition}) and {expression} is not null)"
        return f"{self._picked_by}({expression}, {{'ts': ts, 'id': id_}}) {held}"


class First(Last):
    """The value, not null, of the earliest event, of several at one time that with the least id; missing for none.

    State: as of `Last`, with time and words negated, so that again the greatest row is kept.
    """

    kind = "first"
    sign = -1.0
    _picked_by = "arg_min"
