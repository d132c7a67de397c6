"""Sketches: aggregates whose state grows with what they have seen, up to a bound; kept as bytes.

One numpy function, `codes`, makes of each value the place it has in the sketch. An engine groups codes as it likes: `of` makes a state
of them, `merge` one of several; equal contents are equal bytes, in whatever order they came. An engine that counts instead (DuckDB's
`histogram`) reads the counts by `value_of_counts`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from tidemill.events import Column
from tidemill.kernels import Ints

NULL_CODE = -1


class Sketch(ABC):
    """One way to sum up values within a bounded error; nulls are ignored as in SQL."""

    takes_text: ClassVar[bool]
    neutral: ClassVar[bytes] = b""  # the state of no values

    @property
    @abstractmethod
    def kind(self) -> str:
        """What the state holds: sketches of one kind share it."""

    @property
    def reading(self) -> str:
        """What a value depends on besides the state."""
        return ""

    @abstractmethod
    def codes(self, values: Column) -> Ints:
        """(n,) float64 with NaN, or objects with None, to (n,) int64 places; `NULL_CODE` for null."""

    @abstractmethod
    def of(self, codes: Ints) -> bytes:
        """The state of (n,) codes, in any order and as often as they come; nulls are left out."""

    @abstractmethod
    def merge(self, states: Sequence[bytes]) -> bytes:
        """The state of all that several states have seen."""

    @abstractmethod
    def value(self, state: bytes) -> float:
        """The value of a state, NaN for missing."""

    @abstractmethod
    def value_of_counts(self, codes: Ints, counts: Ints) -> float:
        """The value of (k,) distinct codes, in any order, each met (k,) times; nulls are left out."""

    def sql(self, expression: str, condition: str) -> str:
        """DuckDB SQL of a map from code to count, over raw events for which `condition` holds; null for none.

        Args:
            expression: SQL of the code: `codes` as a function of the value, which the caller makes known to DuckDB.
            condition: which rows count.
        """
        return f"histogram({expression}) filter (where {condition})"
