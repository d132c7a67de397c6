"""Aggregates: commutative monoids over float64 states, so that no order, batch or restart changes a value.

Each has three parts: `lift` makes a state of one event's value, `reduce` merges states, `value` reads one out. A state is a
row of `width` float64; the state of no events is the neutral row. Merging two tiles and merging a million events are the same
`reduce`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Aggregate(ABC):
    """One way to sum up values; nulls (NaN) are ignored as in SQL."""

    kind: ClassVar[str]
    neutral: ClassVar[tuple[float, ...]]
    merged_by: ClassVar[np.ufunc | None] = None  # what merges states column by column, where one ufunc does

    @property
    def width(self) -> int:
        """How many float64 a state takes."""
        return len(self.neutral)

    @abstractmethod
    def lift(self, values: Floats) -> Floats:
        """(n,) values, NaN for null, to (n, width) states."""

    def reduce(self, states: Floats, starts: Ints) -> Floats:
        """Merge runs of (m, width) states; run i is `starts[i]:starts[i + 1]` and not empty. Answers (len(starts), width)."""
        if self.merged_by is None:
            raise NotImplementedError(f"{type(self).__name__} needs a reduce of its own, or merged_by")
        merged: Floats = self.merged_by.reduceat(states, starts, axis=0)
        return merged

    @abstractmethod
    def value(self, states: Floats) -> Floats:
        """(g, width) states to (g,) values, NaN for missing."""

    @abstractmethod
    def sql(self, expression: str, condition: str) -> str:
        """DuckDB SQL of the value over raw events for which `condition` holds."""


class Count(Aggregate):
    """How many events (not null, where an expression is given); 0 for none."""

    kind = "count"
    neutral = (0.0,)
    merged_by = np.add

    def lift(self, values: Floats) -> Floats:
        """See `Aggregate`."""
        return (~np.isnan(values)).astype(np.float64)[:, None]

    def value(self, states: Floats) -> Floats:
        """See `Aggregate`."""
        return states[:, 0]

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return f"cast(count({expression}) filter (where {condition}) as double)"


class Sum(Aggregate):
    """The sum, missing for no values; state: (n, sum)."""

    kind = "sum"
    neutral = (0.0, 0.0)
    merged_by = np.add

    def lift(self, values: Floats) -> Floats:
        """See `Aggregate`."""
        present = ~np.isnan(values)
        return np.column_stack((present.astype(np.float64), np.where(present, values, 0.0)))

    def value(self, states: Floats) -> Floats:
        """See `Aggregate`."""
        return np.where(states[:, 0] > 0, states[:, 1], np.nan)

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return f"sum({expression}) filter (where {condition})"


class Mean(Sum):
    """The mean, missing for no values; of a condition it is the share that meets it. State: (n, sum), exact for whole numbers."""

    kind = "mean"

    def value(self, states: Floats) -> Floats:
        """See `Aggregate`."""
        counts = states[:, 0]
        means: Floats = np.divide(states[:, 1], counts, out=np.full(len(states), np.nan), where=counts > 0)
        return means

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return f"avg({expression}) filter (where {condition})"


class Variance(Aggregate):
    """The sample variance, missing below two values; state: (n, mean, M2).

    Source: Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
    """

    kind = "variance"
    neutral = (0.0, 0.0, 0.0)

    def lift(self, values: Floats) -> Floats:
        """See `Aggregate`."""
        present = ~np.isnan(values)
        return np.column_stack((present.astype(np.float64), np.where(present, values, 0.0), np.zeros(len(values))))

    def reduce(self, states: Floats, starts: Ints) -> Floats:
        """See `Aggregate`."""
        counts = np.add.reduceat(states[:, 0], starts)
        totals = np.add.reduceat(states[:, 0] * states[:, 1], starts)
        means = np.divide(totals, counts, out=np.zeros_like(totals), where=counts > 0)
        lengths = np.diff(np.append(starts, len(states)))
        around = states[:, 0] * (states[:, 1] - np.repeat(means, lengths)) ** 2
        return np.column_stack((counts, means, np.add.reduceat(states[:, 2] + around, starts)))

    def value(self, states: Floats) -> Floats:
        """See `Aggregate`."""
        degrees = states[:, 0] - 1
        variances: Floats = np.divide(states[:, 2], degrees, out=np.full(len(states), np.nan), where=degrees > 0)
        return variances

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return f"var_samp({expression}) filter (where {condition})"


class Std(Variance):
    """The sample standard deviation, missing below two values."""

    kind = "std"

    def value(self, states: Floats) -> Floats:
        """See `Aggregate`."""
        return np.sqrt(super().value(states))

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return f"stddev_samp({expression}) filter (where {condition})"


class Min(Aggregate):
    """The least value, missing for none; state: (least or +inf)."""

    kind = "min"
    neutral = (np.inf,)
    merged_by = np.minimum

    def lift(self, values: Floats) -> Floats:
        """See `Aggregate`."""
        return np.where(np.isnan(values), np.inf, values)[:, None]

    def value(self, states: Floats) -> Floats:
        """See `Aggregate`."""
        return np.where(np.isinf(states[:, 0]), np.nan, states[:, 0])

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return f"min({expression}) filter (where {condition})"


class Max(Aggregate):
    """The greatest value, missing for none; state: (greatest or -inf)."""

    kind = "max"
    neutral = (-np.inf,)
    merged_by = np.maximum

    def lift(self, values: Floats) -> Floats:
        """See `Aggregate`."""
        return np.where(np.isnan(values), -np.inf, values)[:, None]

    def value(self, states: Floats) -> Floats:
        """See `Aggregate`."""
        return np.where(np.isinf(states[:, 0]), np.nan, states[:, 0])

    def sql(self, expression: str, condition: str) -> str:
        """See `Aggregate`."""
        return f"max({expression}) filter (where {condition})"
