"""A feature of a view: an aggregate of an expression over a window. Written with `count`, `mean` and their kin."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.clock import duration_ms
from tidemill.features.aggregates import Aggregate, Count, Max, Mean, Min, Std, Sum, Variance
from tidemill.features.expressions import Expression, as_expression
from tidemill.features.windows import default_bucket_ms


@dataclass(frozen=True)
class Feature:
    """An aggregate over a window; `expression` is None only for a count of all events."""

    aggregate: Aggregate
    expression: Expression | None
    window_ms: int
    bucket_ms: int

    @property
    def slot(self) -> tuple[str, str]:
        """What its tiles hold; two features with one slot and bucket share it."""
        return self.aggregate.kind, "" if self.expression is None else self.expression.text


def _feature(aggregate: Aggregate, value: Expression | str | None, over: str | int, bucket: str | int | None) -> Feature:
    window_ms = duration_ms(over)
    bucket_ms = default_bucket_ms(window_ms) if bucket is None else duration_ms(bucket)
    return Feature(aggregate, None if value is None else as_expression(value), window_ms, bucket_ms)


def count(value: Expression | str | None = None, *, over: str | int, bucket: str | int | None = None) -> Feature:
    """How many events, or how many with `value` not null; 0 for none."""
    return _feature(Count(), value, over, bucket)


def sum_(value: Expression | str, *, over: str | int, bucket: str | int | None = None) -> Feature:
    """The sum; missing for no values."""
    return _feature(Sum(), value, over, bucket)


def mean(value: Expression | str, *, over: str | int, bucket: str | int | None = None) -> Feature:
    """The mean; of a condition, the share that meets it. Missing for no values.

    >>> mean("dep_delay", over="1h").bucket_ms
    60000
    """
    return _feature(Mean(), value, over, bucket)


def variance(value: Expression | str, *, over: str | int, bucket: str | int | None = None) -> Feature:
    """The sample variance; missing below two values."""
    return _feature(Variance(), value, over, bucket)


def std(value: Expression | str, *, over: str | int, bucket: str | int | None = None) -> Feature:
    """The sample standard deviation; missing below two values."""
    return _feature(Std(), value, over, bucket)


def min_(value: Expression | str, *, over: str | int, bucket: str | int | None = None) -> Feature:
    """The least value; missing for none."""
    return _feature(Min(), value, over, bucket)


def max_(value: Expression | str, *, over: str | int, bucket: str | int | None = None) -> Feature:
    """The greatest value; missing for none."""
    return _feature(Max(), value, over, bucket)
