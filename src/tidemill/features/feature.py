"""A feature of a view: an aggregate of an expression over a window. Written with `count`, `mean` and their kin.

Each takes `over`, a window or several (a feature of each then, named `feature_window`), `bucket`, the size of a tile, and `where`, a
condition that an event must meet to count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tidemill.clock import duration_ms, duration_text
from tidemill.features.aggregates import Aggregate
from tidemill.features.ddsketch import Quantile
from tidemill.features.ends import First, Last
from tidemill.features.expressions import Expression, as_expression
from tidemill.features.extremes import Max, Min
from tidemill.features.hyperloglog import Distinct
from tidemill.features.sketch import Sketch
from tidemill.features.spread import Std, Variance
from tidemill.features.sums import Count, Mean, Sum
from tidemill.features.windows import default_bucket_ms

Duration = str | int
Durations = Duration | Sequence[Duration]
Value = Expression | str


@dataclass(frozen=True)
class Feature:
    """An aggregate over a window.

    Args:
        aggregate: how values are summed up.
        expression: of what; None only for a count of all events.
        window_ms: how far back; the longest, where several were asked for.
        bucket_ms: the size of its tiles.
        by_window: where several windows were asked for, a feature of each by the window's text. A view takes these in its place.
    """

    aggregate: Aggregate | Sketch
    expression: Expression | None
    window_ms: int
    bucket_ms: int
    by_window: tuple[tuple[str, Feature], ...] = ()

    @property
    def slot(self) -> tuple[str, str]:
        """What its tiles hold; two features with one slot and bucket share it."""
        return self.aggregate.kind, "" if self.expression is None else self.expression.text

    @property
    def definition(self) -> list[str | int]:
        """All that its value depends on."""
        reading = [self.aggregate.reading] if self.aggregate.reading else []
        return [*self.slot, self.window_ms, self.bucket_ms, *reading]


def expand(features: Mapping[str, Feature], where: Expression | None = None) -> dict[str, Feature]:
    """Features of one window each, of the events for which `where` is true: `n` over 10 min and 1 h becomes `n_10min` and `n_1h`.

    Raises:
        ValueError: two features come to one name.
    """
    expanded: dict[str, Feature] = {}
    for name, feature in features.items():
        for full_name, one in [(f"{name}_{window}", one) for window, one in feature.by_window] or [(name, feature)]:
            if full_name in expanded:
                raise ValueError(f"two features come to the name {full_name!r}")
            expanded[full_name] = one if where is None else replace(one, expression=_when(one.expression, where))
    return expanded


def _when(expression: Expression | None, where: Expression) -> Expression:
    if expression is None:
        return Expression("when", 1, where)
    known = expression.operator == "when" and isinstance(expression.right, Expression) and expression.right.text == where.text
    return expression if known else expression.when(where)


def _feature(aggregate: Aggregate | Sketch, value: Value | None, over: Durations, bucket: Duration | None, where: Value | None) -> Feature:
    expression = None if value is None else as_expression(value)
    if where is not None:
        expression = _when(expression, as_expression(where))
    if isinstance(over, str | int):
        return _over(aggregate, expression, over, bucket)
    if not over:
        raise ValueError("over=(): name at least one window")
    each = [(window if isinstance(window, str) else duration_text(window), _over(aggregate, expression, window, bucket)) for window in over]
    longest = max((one for _, one in each), key=lambda one: one.window_ms)
    return replace(longest, by_window=tuple(each))


def _over(aggregate: Aggregate | Sketch, expression: Expression | None, over: Duration, bucket: Duration | None) -> Feature:
    window_ms = duration_ms(over)
    return Feature(aggregate, expression, window_ms, default_bucket_ms(window_ms) if bucket is None else duration_ms(bucket))


def count(value: Value | None = None, *, over: Durations, bucket: Duration | None = None, where: Value | None = None) -> Feature:
    """How many events, or how many with `value` not null; 0 for none.

    >>> [window for window, _ in count(over=("10min", "1h")).by_window]
    ['10min', '1h']
    """
    return _feature(Count(), value, over, bucket, where)


def sum_(value: Value, *, over: Durations, bucket: Duration | None = None, where: Value | None = None) -> Feature:
    """The sum; missing for no values, and where one is 1e289 or more."""
    return _feature(Sum(), value, over, bucket, where)


def mean(value: Value, *, over: Durations, bucket: Duration | None = None, where: Value | None = None) -> Feature:
    """The mean; missing for no values, and where one is 1e289 or more. See `share` for a condition.

    >>> mean("dep_delay", over="1h").bucket_ms
    60000
    """
    return _feature(Mean(), value, over, bucket, where)


def share(condition: Value, *, over: Durations, bucket: Duration | None = None, where: Value | None = None) -> Feature:
    """The share of events that meet a condition, of those where it is not null; missing for none.

    Raises:
        TypeError: `condition` is a number; a field must be a bool, which the view checks.

    >>> from tidemill.features.expressions import col
    >>> share(col("dep_delay") >= 15, over="3h").slot
    ('mean', '("dep_delay" >= 15)')
    """
    truth = as_expression(condition)
    if truth.operator == "col":
        truth = ~~truth  # reads the field as a truth
    if not truth.is_condition:
        raise TypeError(f"{truth.text} is not a condition; write e.g. share(col('x') >= 15, over='1h'), or mean(...) for a number")
    return _feature(Mean(), truth, over, bucket, where)


def variance(value: Value, *, over: Durations, bucket: Duration | None = None, where: Value | None = None) -> Feature:
    """The sample variance; missing below two values, and where one is 1e144 or more."""
    return _feature(Variance(), value, over, bucket, where)


def std(value: Value, *, over: Durations, bucket: Duration | None = None, where: Value | None = None) -> Feature:
    """The sample standard deviation; missing where the variance is."""
    return _feature(Std(), value, over, bucket, where)


def min_(value: Value, *, over: Durations, bucket: Duration | None = None, where: Value | None = None) -> Feature:
    """The least value; missing for none."""
    return _feature(Min(), value, over, bucket, where)


def max_(value: Value, *, over: Durations, bucket: Duration | None = None, where: Value | None = None) -> Feature:
    """The greatest value; missing for none."""
    return _feature(Max(), value, over, bucket, where)


def first(value: Value, *, over: Durations, bucket: Duration | None = None, where: Value | None = None) -> Feature:
    """The earliest value that is not null, by event time, then by event id; missing for none."""
    return _feature(First(), value, over, bucket, where)


def last(value: Value, *, over: Durations, bucket: Duration | None = None, where: Value | None = None) -> Feature:
    """The latest value that is not null, by event time, then by event id; missing for none."""
    return _feature(Last(), value, over, bucket, where)


def distinct(
    value: Value, *, over: Durations, bucket: Duration | None = None, where: Value | None = None, accuracy: float = 0.02
) -> Feature:
    """About how many different values, text or numbers, within a standard error of `accuracy`; 0 for none."""
    return _feature(Distinct(accuracy), value, over, bucket, where)


def quantile(  # noqa: PLR0913  # the same words as for all others, and two of its own
    value: Value, level: float, *, over: Durations, bucket: Duration | None = None, where: Value | None = None, accuracy: float = 0.01
) -> Feature:
    """The value below which a share `level` of the values lies, within `accuracy` of itself; missing for none."""
    return _feature(Quantile(level, accuracy), value, over, bucket, where)
