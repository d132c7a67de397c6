"""Many moments of the past at once: beside a plain range join, from files, on disk, on several axes and threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable, write_deltalake
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from tests.unit.events.taps import T0, TAPS
from tidemill.clock import HOUR_MS
from tidemill.features import View, count, max_, mean, sum_
from tidemill.kernels import Floats
from tidemill.learning import Clock, Moments, values_at
from tidemill.learning.block import Asked
from tidemill.learning.event_blocks import EventSource, axis_of
from tidemill.learning.lake_sql import DEFAULT_LIMITS, Limits
from tidemill.stores import EVENT_ID, EVENT_TIME, KNOWN_AT, OFFSET, lake_schema

SPAN_MS = 6 * HOUR_MS
VIEW = View(
    "many",
    TAPS,
    entity="line",
    features={
        "n_10m": count(over="10min"),
        "sum_10m": sum_("fare", over="10min"),
        "sum_3h": sum_("fare", over="3h"),
        "max_3h": max_("fare", over="3h"),
        "mean_1h": mean("fare", over="1h", bucket="1h"),
    },
)


def history(n_rows: int, seed: int = 0) -> pa.Table:
    """Taps in the order they became known; a tenth of them are of one line, some are an hour late, whole seconds tie."""
    rng = np.random.default_rng(seed)
    at_ms = T0 + rng.integers(0, SPAN_MS // 1_000, n_rows) * 1_000
    known_at_ms = at_ms + np.where(rng.random(n_rows) < 0.8, 0, rng.integers(0, HOUR_MS, n_rows))
    order = np.argsort(known_at_ms, kind="stable")
    numbers = pa.array([f"t{i}" for i in range(n_rows)])
    columns = {
        OFFSET: np.arange(1, n_rows + 1),
        KNOWN_AT: known_at_ms[order],
        EVENT_TIME: at_ms[order],
        EVENT_ID: numbers,
        "tap_id": numbers,
        "at": at_ms[order],
        "line": pa.array(lines(n_rows, rng)),
        "gate": pa.nulls(n_rows, pa.string()),
        "fare": pa.array(rng.lognormal(3, 2, n_rows), mask=rng.random(n_rows) < 0.05),
        "riders": pa.nulls(n_rows, pa.int64()),
    }
    return pa.table(columns, schema=lake_schema(TAPS))


def lines(n_rows: int, rng: np.random.Generator) -> list[str]:
    drawn = zip(rng.random(n_rows).tolist(), rng.integers(0, 50, n_rows).tolist(), strict=True)
    return ["hot" if share < 0.1 else f"l{number}" for share, number in drawn]


def questions(n_rows: int, clock: Clock, n_events: int) -> Moments:
    """Half of them at whole seconds, as events are, and as few milliseconds beside one."""
    rng = np.random.default_rng(1)
    at_ms = T0 + rng.integers(0, SPAN_MS // 1_000, n_rows) * 1_000 + rng.choice([0, 0, 1, -1], n_rows)
    known_up_to = at_ms if clock == "known_at" else rng.integers(0, n_events + 1, n_rows)
    return Moments(at_ms, known_up_to, {"line": np.array(lines(n_rows, rng), dtype=object)})


def range_join(events: pa.Table, asked: Moments, clock: Clock) -> dict[str, Floats]:
    """The view as one would write it by hand: every pair of a question and an event of its key, and a filter a feature."""
    known = KNOWN_AT if clock == "known_at" else OFFSET
    asks = pa.table(
        {"ask": np.arange(len(asked.at_ms)), "t": asked.at_ms, "upto": asked.known_up_to, "key": asked.columns["line"].tolist()}
    )
    sums = {"n": "count(ask) filter ({})", "sum": "sum(fare) filter ({})", "max": "max(fare) filter ({})", "mean": "avg(fare) filter ({})"}
    columns = []
    for name, feature in VIEW.features.items():
        floor = f"(a.t // {feature.bucket_ms} * {feature.bucket_ms})"
        held = f"where e.line is not null and ts >= {floor} - {feature.window_ms} and ts < {floor} + {feature.bucket_ms}"
        columns.append(f"{sums[name.partition('_')[0]].format(held)}::double as {name}")
    with duckdb.connect() as connection:
        connection.register("asks", asks)
        connection.register("events", events)
        told = f'(select *, "{EVENT_TIME}" as ts, "{known}" as known from events)'
        on = "e.line = a.key and e.known <= a.upto"
        query = f"select {', '.join(columns)} from asks a left join {told} e on {on} group by a.ask order by a.ask"
        table = connection.sql(query).to_arrow_table()
    return {VIEW.column(name): table.column(name).to_numpy(zero_copy_only=False) for name in VIEW.features}


@pytest.mark.parametrize("clock", ["known_at", "offset"])
def test_every_row_is_that_of_a_plain_range_join(clock: Clock) -> None:
    events, asked = history(20_000), questions(1_500, clock, 20_000)
    got = values_at(VIEW, ds.dataset(events), asked, clock, Limits(block_events=3_000))
    want = range_join(events, asked, clock)
    for column, values in got.items():
        exact = "__n_" in column or "__max_" in column
        np.testing.assert_allclose(values, want[column], rtol=0 if exact else 1e-12, atol=0, err_msg=column)  # fares are above 0
    hot = asked.columns["line"] == "hot"
    assert got["many__n_10m"][hot].max() > 40, "or the windows of the hot line are not read by tiles"


def test_blocks_and_threads_do_not_change_a_bit() -> None:
    events, asked = ds.dataset(history(20_000)), questions(1_500, "known_at", 0)
    limits = [Limits(threads=threads, block_events=size) for threads, size in ((1, 10**6), (1, 700), (2, 1_300), (4, 5_000), (3, 300))]
    digests = {b"".join(column.tobytes() for column in values_at(VIEW, events, asked, "known_at", some).values()) for some in limits}
    assert len(digests) == 1


def test_files_are_read_as_tables_are_and_those_without_a_field_hold_nulls(tmp_path: Path) -> None:
    events, asked = history(4_000), questions(500, "known_at", 0)
    write_deltalake(tmp_path, events.slice(0, 2_500).drop_columns(["fare"]))
    write_deltalake(tmp_path, events.slice(2_500), mode="append", schema_mode="merge")
    fares = [None] * 2_500 + events.column("fare").to_pylist()[2_500:]
    whole = events.set_column(events.schema.get_field_index("fare"), "fare", pa.array(fares, type=pa.float64()))
    files = local(tmp_path)
    assert len(files.files) == 2
    assert bytes_of(files, asked) == bytes_of(ds.dataset(whole), asked)
    assert bytes_of(files, asked) != bytes_of(ds.dataset(events), asked)


def test_files_that_all_lack_a_field_hold_nulls(tmp_path: Path) -> None:
    write_deltalake(tmp_path, history(100).drop_columns(["fare"]))
    schema = lake_schema(TAPS)
    fragments = ds.dataset(tmp_path.as_posix(), schema=schema, format="parquet", exclude_invalid_files=True)
    names = [Path(name).relative_to(tmp_path).as_posix() for name in fragments.files]
    files = ds.FileSystemDataset.from_paths(
        names, schema=schema, format=ds.ParquetFileFormat(), filesystem=SubTreeFileSystem(tmp_path.as_posix(), LocalFileSystem())
    )
    got = values_at(VIEW, files, questions(50, "known_at", 0), "known_at")
    assert got["many__n_10m"].max() > 0
    assert np.isnan(got["many__sum_3h"]).all()


def test_more_than_fits_in_memory_goes_to_disk(tmp_path: Path) -> None:
    events, asked = ds.dataset(history(800_000)), questions(1_000, "known_at", 0)
    limits = Limits(memory_mb=40, spill=tmp_path, block_events=50_000)
    keys = pa.table({"line": sorted(set(asked.columns["line"]))})
    of_all = Asked(np.arange(len(keys)), np.full(len(keys), T0 + SPAN_MS), np.full(len(keys), T0 + SPAN_MS))
    source = EventSource(VIEW, events, "known_at", axis_of(VIEW, asked.at_ms), keys)
    with ThreadPoolExecutor(2) as pool:
        blocks = source.blocks(of_all, limits, pool)
        spilled = [sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) for _ in blocks]
    assert max(spilled) > 2**20
    assert list(tmp_path.iterdir()) == [], "what was spilled is removed"
    assert bytes_of(events, asked, limits) == bytes_of(events, asked)


def test_more_keys_than_one_axis_holds_take_several(monkeypatch: pytest.MonkeyPatch) -> None:
    events, asked = ds.dataset(history(3_000)), questions(400, "known_at", 0)
    whole = bytes_of(events, asked)
    monkeypatch.setattr("tidemill.learning.point_in_time._MAX_PLACES", 12 * (SPAN_MS + 10 * HOUR_MS))
    assert bytes_of(events, asked) == whole


def test_nobody_and_nothing_are_answered(tmp_path: Path) -> None:
    nobody = Moments(np.array([T0, T0]), np.array([T0, T0]), {"line": np.array([None, "l1"], dtype=object)})
    for events in (ds.dataset(history(0)), ds.dataset(history(5, seed=3))):
        values = values_at(VIEW, events, nobody, "known_at")
        assert values["many__n_10m"].tolist() == [0, 0]
        assert np.isnan(values["many__sum_3h"]).all()
    none = Moments(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), {"line": np.array([], dtype=object)})
    assert [len(column) for column in values_at(VIEW, ds.dataset(history(5)), none, "known_at").values()] == [0] * 5


def test_a_question_before_every_event_and_one_after_all_are_empty() -> None:
    far_ms = np.array([T0 - 100 * HOUR_MS, T0 + 100 * HOUR_MS])
    asked = Moments(far_ms, far_ms + 1_000 * HOUR_MS, {"line": np.array(["hot", "hot"], dtype=object)})
    assert values_at(VIEW, ds.dataset(history(1_000)), asked, "known_at")["many__n_10m"].tolist() == [0, 0]


def local(folder: Path) -> ds.FileSystemDataset:
    """A Delta table as the lake opens it."""
    return DeltaTable(folder).to_pyarrow_dataset(filesystem=SubTreeFileSystem(folder.as_posix(), LocalFileSystem()))


def bytes_of(events: ds.Dataset, asked: Moments, limits: Limits = DEFAULT_LIMITS) -> bytes:
    return b"".join(column.tobytes() for column in values_at(VIEW, events, asked, "known_at", limits).values())
