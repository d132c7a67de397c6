"""Every row aggregate in DuckDB is that in numpy, and the naive one; and so is the order of event ids and the codes of sketches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.property.naive import Raw, naive_feature, tolerance
from tidemill.features import (
    Aggregate,
    Feature,
    Inputs,
    Sketch,
    count,
    distinct,
    first,
    id_sql,
    last,
    max_,
    mean,
    min_,
    quantile,
    std,
    sum_,
    variance,
)
from tidemill.features.event_order import WORD_BYTES, order_words

ROW_FEATURES = [write("x", over="1h") for write in (count, sum_, mean, variance, std, min_, max_, first, last)]
SKETCHES = [distinct("x", over="1h"), quantile("x", 0.5, over="1h"), quantile("x", 0.99, over="1h", accuracy=0.001)]

VALUES = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5).map(float) | st.floats(-1e6, 1e6)
VALUES |= st.sampled_from([1e144, -9.9e143, 1e289, -9.9e288, 1.7e308, 5e-324, -0.0, 1e-160])
IDS = st.text(min_size=1, max_size=3) | st.builds(
    lambda start, end: start + end, st.sampled_from(["x" * 41, "é" * 21]), st.text(max_size=3)
)
EVENTS = st.lists(st.tuples(st.integers(0, 3), IDS, VALUES), max_size=20, unique_by=lambda event: event[1])


@cache
def database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def register(events: Sequence[Raw]) -> None:
    columns = zip(*events, strict=True) if events else ([], [], [])
    types = {"ts": pa.int64(), "id": pa.string(), "x": pa.float64()}
    arrays = {name: pa.array(column, type=kind) for (name, kind), column in zip(types.items(), columns, strict=True)}
    database().register("t", pa.table(arrays))


@settings(max_examples=150)
@given(events=EVENTS, before=st.integers(0, 4))
@example(events=[], before=4)
@example(events=[(0, "a", None)], before=4)
@example(events=[(0, "a", 3.0)], before=4)
@example(events=[(0, "a", 1.7e308), (1, "b", 1.7e308), (2, "c", -1.7e308)], before=4)
@example(events=[(1, "￿", 1.0), (1, "\U0001f600", 2.0), (1, "Z", 3.0), (1, "é", 4.0), (2, "a", None)], before=4)  # not as UTF-16 sorts
@example(events=[(1, "x" * 42 + "\0", 1.0), (1, "x" * 42, 2.0), (1, "x" * 43, 3.0)], before=4)
def test_an_aggregate_in_sql_is_the_aggregate_in_numpy(events: list[tuple[int, str, float | None]], before: int) -> None:
    register(events)
    kept = [event for event in events if event[0] < before]
    values = np.array([value for _, _, value in kept], dtype=np.float64)
    inputs = Inputs(values, np.array([time for time, _, _ in kept], dtype=np.int64), [event_id for _, event_id, _ in kept])
    select = ", ".join(one.aggregate.sql("x", f"ts < {before}") for one in ROW_FEATURES)
    (row,) = database().execute(f"select {select} from (select *, {id_sql('id')} as id_ from t)").fetchall()
    for feature, got in zip(ROW_FEATURES, row, strict=True):
        aggregate = feature.aggregate
        assert isinstance(aggregate, Aggregate)
        states = aggregate.reduce(aggregate.lift(inputs), np.array([0])) if kept else np.array([aggregate.neutral])
        compare(feature, kept, aggregate.value(states)[0], got)


def compare(feature: Feature, events: Sequence[Raw], by_numpy: float, by_duckdb: float | None) -> None:
    said = f"{feature.aggregate.kind}: numpy {by_numpy}, DuckDB {by_duckdb}"
    want = exact(feature, events)
    if want is None:
        assert math.isnan(by_numpy) and by_duckdb is None, f"{said}, but it is missing"
        return
    near = tolerance(feature, [float(value) for _, _, value in events if value is not None])
    assert by_duckdb is not None and abs(by_numpy - want) <= near and abs(by_duckdb - want) <= near, f"{said}, naive {want}"


def exact(feature: Feature, events: Sequence[Raw]) -> float | None:
    """The naive value; ids that only a digest tells apart are put in the order that it gives them."""
    order = {event_id: tuple(words) for (_, event_id, _), words in zip(events, order_words([one[1] for one in events]), strict=True)}
    rank = {event_id: f"{place:04}" for place, event_id in enumerate(sorted(order, key=lambda event_id: order[event_id]))}
    return naive_feature(feature, [(time, rank[event_id], value) for time, event_id, value in events], 0)


@given(ids=st.lists(IDS | st.text(min_size=30, max_size=60), min_size=1, max_size=20, unique=True))
@example(ids=["a", "a\0", "a\0\0", "a\0b", "\0", "x" * 42, "x" * 43, "x" * 42 + "\0"])
def test_ids_have_one_order_in_numpy_in_duckdb_and_as_text(ids: list[str]) -> None:
    words = order_words(ids)
    database().register("ids", pa.table({"id": pa.array(ids), "place": np.arange(len(ids))}))
    blobs = [row[0] for row in database().execute(f"select {id_sql('id')} from ids order by place").fetchall()]
    assert blobs == [b"".join(int(word).to_bytes(WORD_BYTES, "big") for word in row) for row in words]
    as_numbers = sorted(range(len(ids)), key=lambda place: tuple(words[place]))
    if all(len(event_id.encode()) <= 42 for event_id in ids):
        assert [ids[place] for place in as_numbers] == sorted(ids, key=str.encode)
    assert len({tuple(row) for row in words}) == len(ids)


@pytest.mark.parametrize("feature", SKETCHES, ids=lambda feature: str(feature.aggregate.kind))
@given(events=EVENTS, before=st.integers(0, 4))
def test_a_sketch_of_counted_codes_is_the_sketch_of_states(
    feature: Feature, events: list[tuple[int, str, float | None]], before: int
) -> None:
    sketch = feature.aggregate
    assert isinstance(sketch, Sketch)
    codes = sketch.codes(np.array([value for _, _, value in events], dtype=np.float64))
    times = pa.array([time for time, _, _ in events], type=pa.int64())
    database().register("codes", pa.table({"ts": times, "code": pa.array(codes)}))
    ((found,),) = database().execute(f"select {sketch.sql('code', f'ts < {before}')} from codes").fetchall()
    counted = dict(found or {})
    got = sketch.value_of_counts(np.array([*counted], dtype=np.int64), np.array([*counted.values()], dtype=np.int64))
    want = sketch.value(sketch.of(codes[[time < before for time, _, _ in events]]))
    assert got == want or (math.isnan(got) and math.isnan(want))
