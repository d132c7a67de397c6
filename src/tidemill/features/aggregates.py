"""Aggregates: commutative monoids, so that no order, batch or restart changes a value. Here those whose state is a row of float64.

Each has three parts: `lift` makes a state of one event, `merges` names how states are merged, `says` names what one says; both are done
by `tidemill.kernels`, wherever states lie. A state is a row of `width` float64; the state of no events is the neutral row. Merging two
tiles and merging a million events are the same.

```
sums.py      count, sum, mean          ends.py         first, last
spread.py    variance, std             sketch.py       those whose state grows: hyperloglog.py distinct, ddsketch.py quantile
extremes.py  min, max
```
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from tidemill.features.event_order import order_words
from tidemill.kernels import Floats, Ints, merge_runs, read_values


@dataclass(frozen=True)
class Inputs:
    """What an aggregate sees of n events.

    Args:
        values: (n,) float64, NaN for null.
        event_time_ms: (n,) int64.
        event_ids: n ids.
    """

    values: Floats
    event_time_ms: Ints
    event_ids: Sequence[str]
    _words: list[Floats] = field(default_factory=list, repr=False, compare=False)

    def with_values(self, values: Floats) -> Inputs:
        """The same events with other values; what was made of their ids is shared."""
        return Inputs(values, self.event_time_ms, self.event_ids, self._words)

    @property
    def order_words(self) -> Floats:
        """(n, WORDS) float64 that sort as the ids do; see `event_order`."""
        if not self._words:
            self._words.append(order_words(self.event_ids))
        return self._words[0]


class Aggregate(ABC):
    """One way to sum up values; nulls (NaN) are ignored as in SQL."""

    kind: ClassVar[str]
    neutral: ClassVar[tuple[float, ...]]
    merges: ClassVar[tuple[int, ...]]  # of each column of a state
    says: ClassVar[int]

    @property
    def width(self) -> int:
        """How many float64 a state takes."""
        return len(self.neutral)

    @property
    def reading(self) -> str:
        """What a value depends on besides the state: nothing."""
        return ""

    @abstractmethod
    def lift(self, inputs: Inputs) -> Floats:
        """n events to (n, width) states."""

    def reduce(self, states: Floats, starts: Ints) -> Floats:
        """Merge runs of (m, width) states; run i is `starts[i]:starts[i + 1]` and not empty. Answers (len(starts), width)."""
        return merge_runs(np.array(self.merges), np.ascontiguousarray(states), starts)

    def value(self, states: Floats) -> Floats:
        """(g, width) states to (g,) values, NaN for missing."""
        return read_values(np.array([[self.says, 1, 0, 0, self.width]]), np.ascontiguousarray(states))[:, 0]

    @abstractmethod
    def sql(self, expression: str, condition: str) -> str:
        """DuckDB SQL of the value over raw events for which `condition` holds.

        The rows have a column `ts`, the event time in ms, and for first and last `id_`, made by `event_order.id_sql`.
        """
