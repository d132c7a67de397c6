"""Features as they are declared: several windows, conditions, shares, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.features import Feature, col, count, distinct, first, last, max_, mean, min_, quantile, share, std, sum_, variance
from tidemill.features.feature import expand

WRITERS: list[Any] = [count, sum_, mean, variance, std, min_, max_, first, last, distinct, lambda x, **how: quantile(x, 0.9, **how)]


def test_several_windows_are_several_features() -> None:
    expanded = expand({"n": count(over=("10m", "1h", DAY_MS)), "mean": mean("x", over="2h")})
    assert {name: (feature.window_ms, feature.bucket_ms) for name, feature in expanded.items()} == {
        "n_10m": (10 * MINUTE_MS, 15_000),
        "n_1h": (HOUR_MS, MINUTE_MS),
        "n_1d": (DAY_MS, HOUR_MS),
        "mean": (2 * HOUR_MS, 5 * MINUTE_MS),
    }
    assert expand(expanded) == expanded
    one_bucket = expand({"n": count(over=["10min", "1h"], bucket="1min")})
    assert [feature.bucket_ms for feature in one_bucket.values()] == [MINUTE_MS, MINUTE_MS]


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="two features come to the name 'n_1h'"):
        expand({"n": count(over=("10m", "1h")), "n_1h": count(over="1h")})
    with pytest.raises(ValueError, match="two features come to the name 'n_1h'"):
        expand({"n": count(over=("1h", "1h"))})
    with pytest.raises(ValueError, match="name at least one window"):
        count(over=())


@pytest.mark.parametrize("write", WRITERS)
def test_every_aggregate_takes_a_condition_and_several_windows(write: Any) -> None:
    plain: Feature = write("x", over="1h")
    some: Feature = write("x", over=("1h", "2h"), bucket="5min", where=col("country").equals("DE"))
    assert plain.slot[1] == '"x"'
    assert [one.slot for _, one in some.by_window] == [(plain.aggregate.kind, """("x" when ("country" among ('DE')))""")] * 2
    assert some.window_ms == 2 * HOUR_MS


def test_a_condition_is_told_once() -> None:
    where = col("amount") > 100
    assert count(over="1h", where=where).slot == ("count", '(1 when ("amount" > 100))')
    once = expand({"n": count(over="1h"), "mean": mean("x", over="1h", where=col("x") > 0)}, where)
    assert once["n"].slot == count(over="1h", where=where).slot
    assert once["mean"].slot == ("mean", '(("x" when ("x" > 0)) when ("amount" > 100))')
    again = expand(once, where)
    assert [one.slot for one in again.values()] == [one.slot for one in once.values()]


def test_a_share_is_the_mean_of_a_condition() -> None:
    assert share(col("x") >= 15, over="1h").slot == mean(col("x") >= 15, over="1h").slot
    assert share("ok", over="1h").slot == ("mean", 'not(not("ok"))')
    with pytest.raises(TypeError, match=r'\("x" \+ 1\) is not a condition; write e\.g\. share\(col'):
        share(col("x") + 1, over="1h")
    with pytest.raises(TypeError, match="is not an expression"):
        share(col("x") == 15, over="1h")  # type: ignore[arg-type, comparison-overlap]  # the mistake


def test_what_filters_is_a_condition() -> None:
    with pytest.raises(TypeError, match=r'\("x" \* 2\) is not a condition'):
        count(over="1h", where=col("x") * 2)


def test_what_a_value_depends_on_is_its_definition() -> None:
    features = [
        *(quantile("x", level, over="1h", accuracy=accuracy) for level, accuracy in [(0.5, 0.01), (0.9, 0.01), (0.5, 0.02)]),
        *(distinct("x", over="1h", accuracy=accuracy) for accuracy in (0.01, 0.02)),
        *(write("x", over="1h") for write in (first, last, min_, max_, count)),
        count(over="1h"),
        count(over="1h", where=col("x") > 0),
        count(over="1h", where=col("x") > 1),
        count(over="1h", bucket="5min"),
    ]
    assert len({repr(feature.definition) for feature in features}) == len(features)
