"""Every aggregate against a loop over raw events: duplicates, ties, late and shuffled events, any batches, any merge of merges.

```
 events, as they came ──duplicates and late ones out──shuffled──split──► batches ──► tiles ──merged──► value
 events, as they came ──duplicates and late ones out──────────────── one loop over all of them ──────► the same value
```
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.property.naive import Raw, in_window, naive_feature, naive_verdicts, tolerance
from tests.property.tile_values import merge_groups, values_of_tiles
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.events import Stream
from tidemill.features import (
    Feature,
    Layout,
    Sketch,
    View,
    col,
    count,
    distinct,
    first,
    floor_ms,
    last,
    max_,
    mean,
    min_,
    quantile,
    share,
    std,
    sum_,
    variance,
)
from tidemill.features.ddsketch import Quantile
from tidemill.kernels import Floats

T0 = 1_400_000_000_000 // DAY_MS * DAY_MS
OVER: Any = {"over": ("5min", "1h"), "bucket": "5min"}


class Payment(BaseModel):
    payment_id: str
    at: int
    amount: float | None
    country: str | None


PAYMENTS = Stream("payments", schema=Payment, event_time="at", event_id="payment_id", allowed_lateness="1h")
FEATURES = {
    "n": count(**OVER),
    "n_amounts": count("amount", **OVER),
    "sum": sum_("amount", **OVER),
    "mean": mean("amount", **OVER),
    "dear": share(col("amount") >= 2, **OVER),
    "variance": variance("amount", **OVER),
    "std": std("amount", **OVER),
    "least": min_("amount", **OVER),
    "greatest": max_("amount", **OVER),
    "first": first("amount", **OVER),
    "last": last("amount", **OVER),
    "last_at_home": last("amount", where=col("country").equals("DE"), **OVER),
    "median": quantile("amount", 0.5, **OVER),
    "p90": quantile("amount", 0.9, accuracy=0.001, **OVER),
    "countries": distinct("country", **OVER),
    "amounts": distinct("amount", **OVER),
}
EVERY = View("every", PAYMENTS, entity="country", features=FEATURES)
SOME = View("some", PAYMENTS, entity="country", features=FEATURES, where=(col("amount") > -1) | col("country").equals("AT"))
RETENTION_MS = EVERY.retention_ms

Payments = list[dict[str, Any]]

AMOUNTS = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 2.0, -2.0, 1e15, -1e15, 1e-300, 5e-324, 1e100, 1e150, -1e200, 1e288, 1e289, -1e308, 1.7e308]),
    st.floats(-100, 100),
    st.integers(-3, 3).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
)
# Ids of every kind: short, alike in their first 42 bytes, with bytes above ASCII, one the beginning of another.
IDS = st.sampled_from(["a", "ab", "B", "é", "\U0001f600", "￿", "x" * 41, "x" * 42, "x" * 43, "x" * 42 + "é", "a\0", "a\0\0"])
IDS |= st.text(max_size=3).filter(bool).filter(lambda text: text.isprintable()) | st.integers(0, 20).map(str)
TIMES = st.sampled_from([T0 - HOUR_MS - 1, T0 - HOUR_MS, T0 - 1, T0, T0 + 1, T0 + 5 * MINUTE_MS]) | st.integers(
    T0 - 2 * HOUR_MS, T0 + HOUR_MS
)
ARRIVALS = st.lists(
    st.fixed_dictionaries(
        {
            "payment_id": IDS,
            "at": TIMES,
            "lag_ms": st.sampled_from([0, 1, MINUTE_MS, HOUR_MS, RETENTION_MS, RETENTION_MS + 1]),
            "amount": AMOUNTS,
            "country": st.sampled_from(["DE", "AT", "", None]),
        }
    ),
    max_size=40,
)


def applied(arrivals: Payments) -> Payments:
    """What is left of payments in the order they became known: no copies, none that is late."""
    known = sorted(arrivals, key=lambda payment: payment["at"] + payment["lag_ms"])
    verdicts = naive_verdicts([(one["at"] + one["lag_ms"], one["payment_id"], one["at"]) for one in known], RETENTION_MS, 0)
    return [payment for payment, verdict in zip(known, verdicts, strict=True) if verdict == "applied"]


def columns_of(payments: Payments) -> dict[str, Any]:
    amounts = np.array([payment["amount"] for payment in payments], dtype=np.float64)
    return {"amount": amounts, "country": np.array([payment["country"] for payment in payments], dtype=object)}


def tiles_of(layout: Layout, bucket_ms: int, payments: Payments) -> dict[int, Floats]:
    """The tiles that one batch makes by itself."""
    times = np.array([payment["at"] for payment in payments], dtype=np.int64)
    states = layout.lift(columns_of(payments), times, [payment["payment_id"] for payment in payments])
    return merge_groups(layout, states, [floor_ms(payment["at"], bucket_ms) for payment in payments])


def sketches_of(feature: Feature, payments: Payments) -> dict[int, bytes]:
    """The same of a sketch."""
    sketch, expression = feature.aggregate, feature.expression
    assert isinstance(sketch, Sketch) and expression is not None
    columns = columns_of(payments)
    codes = sketch.codes(expression.read(columns) if sketch.takes_text else expression.evaluate(columns))
    starts = np.array([floor_ms(payment["at"], feature.bucket_ms) for payment in payments])
    return {int(start): sketch.of(codes[starts == start]) for start in np.unique(starts)}


def merged(merge: Callable[[list[Any]], Any], parts: Sequence[dict[int, Any]]) -> dict[int, Any]:
    starts = {start for part in parts for start in part}
    return {start: merge([part[start] for part in parts if start in part]) for start in starts}


def values_of(view: View, batches: Sequence[Payments], at_ms: int) -> dict[str, float]:
    """Every feature, from tiles that a few batches make and several merges bring together."""
    values: dict[str, float] = {}
    for bucket_ms, layout in view.layouts.items():
        tiles = merged_twice(merge_of(layout), [tiles_of(layout, bucket_ms, batch) for batch in batches])
        values |= values_of_tiles(layout, view.row_features, tiles, at_ms)
    for name, feature in view.sketches:
        assert isinstance(feature.aggregate, Sketch)
        sketches = merged_twice(feature.aggregate.merge, [sketches_of(feature, batch) for batch in batches])
        last_ms = floor_ms(at_ms, feature.bucket_ms)
        held = [state for start, state in sketches.items() if last_ms - feature.window_ms <= start <= last_ms]
        values[name] = feature.aggregate.value(feature.aggregate.merge(held))
    return values


def merge_of(layout: Layout) -> Callable[[list[Floats]], Floats]:
    return lambda states: layout.reduce(np.array(states), np.array([0]))[0]


def merged_twice(merge: Callable[[list[Any]], Any], parts: Sequence[dict[int, Any]]) -> dict[int, Any]:
    """A merge of merges."""
    return merged(merge, [merged(merge, parts[:2]), *parts[2:]])


def raw_value(view: View, feature: Feature, payment: dict[str, Any]) -> float | str | None:
    """What a feature reads of one payment, by hand."""
    amount, country = payment["amount"], payment["country"]
    if view.where is not None and not (country == "AT" or (amount is not None and amount > -1)):
        return None
    said = "" if feature.expression is None else feature.expression.text
    if '"amount" when ("country" among (\'DE\'))' in said and country != "DE":
        return None
    if '"amount" >= 2' in said:
        return None if amount is None else float(amount >= 2)
    if said.startswith(('"country"', '("country"')):
        return str(country) if country is not None else None
    return amount if '"amount"' in said.split(" when ")[0] else 1.0


def check(view: View, values: dict[str, float], payments: Payments, at_ms: int) -> None:
    for name, feature in view.features.items():
        raw: list[Raw] = [(one["at"], one["payment_id"], raw_value(view, feature, one)) for one in payments]
        got, want = values[name], naive_feature(feature, raw, at_ms)
        held = in_window([(time, value) for time, _, value in raw if isinstance(value, float)], feature, at_ms)
        if want is None:
            assert math.isnan(got), f"{view.name}.{name}: {got}, but it is missing"
        elif isinstance(feature.aggregate, Quantile):
            assert abs(got - want) <= abs(want) * feature.aggregate.accuracy * (1 + 1e-9) + 2.3e-308, (
                f"{view.name}.{name}: {got}, not {want}"
            )
        elif feature.aggregate.kind.startswith("distinct"):
            assert abs(got - want) <= 1, f"{view.name}.{name}: {got}, not {want}"  # two of 40 may share one of 4,096 registers
        else:
            assert abs(got - want) <= tolerance(feature, held), f"{view.name}.{name}: {got}, not {want}"


ONE: dict[str, Any] = {"payment_id": "a", "at": T0, "lag_ms": 0, "amount": 2.5, "country": "DE"}
TIED = [{**ONE, "payment_id": name, "amount": amount} for name, amount in [("b", 1.0), ("a", 2.0), ("￿", 4.0), ("\U0001f600", 3.0)]]
HUGE = [{**ONE, "payment_id": str(n), "amount": amount} for n, amount in enumerate([1.7e308, 1.7e308, -1.7e308, 1.0])]
LARGE = [{**ONE, "payment_id": str(n), "amount": amount} for n, amount in enumerate([9e288, 9e288, -9e288, -9e288, 7.0])]
COPIES = [ONE, {**ONE, "amount": 7.0, "lag_ms": 1}, {**ONE, "payment_id": "b", "lag_ms": RETENTION_MS + 1}]


@settings(max_examples=200)
@given(
    arrivals=ARRIVALS, rng=st.randoms(use_true_random=False), n_batches=st.integers(1, 5), at_ms=TIMES, view=st.sampled_from([EVERY, SOME])
)
@example(arrivals=[], rng=random.Random(0), n_batches=1, at_ms=T0, view=EVERY)
@example(arrivals=[{**ONE, "amount": None}], rng=random.Random(0), n_batches=1, at_ms=T0, view=EVERY)
@example(arrivals=[ONE], rng=random.Random(0), n_batches=1, at_ms=T0 + DAY_MS, view=EVERY)  # a window without events
@example(arrivals=TIED, rng=random.Random(1), n_batches=2, at_ms=T0, view=EVERY)
@example(arrivals=HUGE, rng=random.Random(2), n_batches=3, at_ms=T0, view=EVERY)
@example(arrivals=LARGE, rng=random.Random(2), n_batches=3, at_ms=T0, view=EVERY)
@example(arrivals=COPIES, rng=random.Random(3), n_batches=2, at_ms=T0, view=SOME)
def test_any_order_and_any_batching_gives_the_naive_value(
    arrivals: Payments, rng: random.Random, n_batches: int, at_ms: int, view: View
) -> None:
    payments = applied(arrivals)
    shuffled = rng.sample(payments, len(payments))
    batches = [batch for place in range(n_batches) if (batch := shuffled[place::n_batches])]
    check(view, values_of(view, batches, at_ms), payments, at_ms)


@given(arrivals=ARRIVALS, rng=st.randoms(use_true_random=False), n_batches=st.integers(1, 5))
def test_what_is_exact_is_the_same_to_the_last_bit(arrivals: Payments, rng: random.Random, n_batches: int) -> None:
    """Extremes, ends, counts and sketches do not even differ in how they are stored."""
    payments = applied(arrivals)
    shuffled = rng.sample(payments, len(payments))
    batches = [batch for place in range(n_batches) if (batch := shuffled[place::n_batches])]
    exact = [one for one in EVERY.row_features.values() if one.aggregate.kind in ("count", "min", "max", "first", "last")]
    layout = Layout.of(exact)
    for bucket_ms in {feature.bucket_ms for feature in exact}:
        whole = tiles_of(layout, bucket_ms, payments)
        parts = merged(merge_of(layout), [tiles_of(layout, bucket_ms, batch) for batch in batches])
        assert {start: state.tolist() for start, state in parts.items()} == {start: state.tolist() for start, state in whole.items()}
    for _, feature in EVERY.sketches:
        assert isinstance(feature.aggregate, Sketch)
        assert merged(feature.aggregate.merge, [sketches_of(feature, batch) for batch in batches]) == sketches_of(feature, payments)


@given(arrivals=ARRIVALS, n_batches=st.integers(1, 3))
def test_leaving_out_what_does_not_count_changes_nothing(arrivals: Payments, n_batches: int) -> None:
    payments = applied(arrivals)
    kept = [payment for payment, counts in zip(payments, SOME.counts(columns_of(payments)), strict=True) if counts]
    batches = [batch for place in range(n_batches) if (batch := kept[place::n_batches])]
    check(SOME, values_of(SOME, batches, T0), payments, T0)


def test_the_naive_twin_is_right_where_the_value_is_plain() -> None:
    raw: list[Raw] = [(T0, "b", 1.0), (T0, "a", 3.0), (T0 + 1, "a", None), (T0 - HOUR_MS, "c", 5.0), (T0 - HOUR_MS - 1, "d", 9.0)]
    features = [count("x", over="1h"), first("x", over="1h"), last("x", over="1h"), quantile("x", 0.5, over="1h"), distinct("x", over="1h")]
    assert [naive_feature(feature, raw, T0) for feature in features] == [3, 5.0, 1.0, 3.0, 3]
    assert [naive_feature(feature, raw, T0 + DAY_MS) for feature in features] == [0, None, None, None, 0]
    assert naive_feature(sum_("x", over="1h"), [(T0, "a", 1e289), (T0, "b", -1.0)], T0) is None
