"""A stream gains a field; one it lost, or changed, is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from deltalake import DeltaTable
from pydantic import BaseModel, create_model

from tests.unit.events.taps import T0, TAPS, Tap, batch_of, payload
from tidemill.errors import ProjectError
from tidemill.events import EventBatch, Stream
from tidemill.features import View, count, sum_
from tidemill.learning import Moments, values_at
from tidemill.stores import OFFSET, Lake, lake_schema


class Wider(Tap):
    """Taps that say how they were paid."""

    paid_by: str | None = None
    tip: float | None = None


def stream_of(schema: type[BaseModel]) -> Stream:
    return Stream("taps", schema=schema, event_time="at", event_id="tap_id")


def without(name: str, **changed: Any) -> type[BaseModel]:
    """`Tap` without a field, or with another in its place."""
    fields: dict[str, Any] = {other: (info.annotation, info.default) for other, info in Tap.model_fields.items() if other != name}
    return create_model("Changed", **fields, **changed)


def some(stream: Stream, offset: int, **fields: object) -> EventBatch:
    batch = batch_of([payload(f"t{offset}", T0 + offset, line="a", **fields)], stream)
    return replace(batch, offsets=np.array([offset]), known_at_ms=np.array([T0 + offset]))


def test_old_rows_hold_null_in_a_new_field(tmp_path: Path) -> None:
    Lake(tmp_path, [TAPS]).append("taps", some(TAPS, 1, fare=1.0))
    wider = stream_of(Wider)
    lake = Lake(tmp_path, [wider])
    assert lake.dataset("taps").to_table(["tip"]).column("tip").to_pylist() == [None], "before anything new is written"
    lake.append("taps", some(wider, 2, fare=2.0, tip=0.5, paid_by="card"))
    table = lake.dataset("taps").to_table().sort_by(OFFSET)
    assert table.schema.equals(lake_schema(wider))
    assert [table.column(name).to_pylist() for name in ("fare", "tip", "paid_by")] == [[1.0, 2.0], [None, 0.5], [None, "card"]]
    with duckdb.connect() as connection:
        connection.register("taps", lake.dataset("taps"))
        assert connection.sql("select sum(tip), count(tip), count(*) from taps").fetchall() == [(0.5, 1, 2)]


def test_features_of_a_new_field_count_the_rows_that_have_it(tmp_path: Path) -> None:
    Lake(tmp_path, [TAPS]).append("taps", some(TAPS, 1))
    wider = stream_of(Wider)
    lake = Lake(tmp_path, [wider])
    view = View("tips", wider, entity="line", features={"n": count(over="1h"), "tips": sum_("tip", over="1h")})
    asked = Moments(np.array([T0 + 9]), np.array([T0 + 9]), {"line": np.array(["a"], dtype=object)})

    def value() -> dict[str, float]:
        return {name: float(column[0]) for name, column in values_at(view, lake.dataset("taps"), asked, "known_at").items()}

    assert value() == pytest.approx({"tips__n": 1, "tips__tips": np.nan}, nan_ok=True)
    lake.append("taps", some(wider, 2, tip=0.5))
    assert value() == {"tips__n": 2, "tips__tips": 0.5}


def test_a_lake_of_before_there_were_days_is_read_appended_to_and_compacted(tmp_path: Path) -> None:
    lake = Lake(tmp_path, [TAPS])
    DeltaTable.create(lake.path("taps"), schema=lake_schema(TAPS))
    for offset in range(1, 6):
        lake.append("taps", some(TAPS, offset, fare=offset / 2))
    assert lake.dataset("taps").schema.equals(lake_schema(TAPS))
    assert lake.compact("taps").replaced == 5
    assert sorted(lake.dataset("taps").to_table().column("fare").to_pylist()) == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert lake.held("taps") == 5


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (without("fare"), r"stream 'taps': field 'fare' \(float\) is in its lake and no longer in Changed; put it back"),
        (without("fare", fare=(str | None, None)), r"field 'fare' is float in its lake and str in Changed; keep it float"),
        (without("riders", riders=(float | None, None)), r"field 'riders' is int in its lake and float in Changed"),
        (without("line", line=(datetime | None, None)), r"field 'line' is str in its lake and datetime in Changed"),
        (without("", tip=(float, ...)), r"field 'tip' \(float\) is new.*declare it optional, e.g. `tip: float \| None = None`"),
        (without("", tip=(bool, True)), r"field 'tip' \(bool\) is new"),
    ],
)
def test_what_the_lake_cannot_follow_is_refused_and_changes_nothing(tmp_path: Path, schema: type[BaseModel], message: str) -> None:
    before = Lake(tmp_path, [TAPS])
    before.append("taps", some(TAPS, 1, fare=1.0))
    version = before.version("taps")
    changed = Lake(tmp_path, [stream_of(schema)])
    for opened in (changed.check, lambda: changed.dataset("taps"), lambda: changed.held("taps")):
        with pytest.raises(ProjectError, match=message):
            opened()
    assert before.version("taps") == version


def test_a_check_makes_no_tables_and_passes_what_is_in_step(tmp_path: Path) -> None:
    Lake(tmp_path, [TAPS]).check()
    assert list(tmp_path.iterdir()) == []
    Lake(tmp_path, [TAPS]).append("taps", some(TAPS, 1))
    Lake(tmp_path, [TAPS]).check()
    Lake(tmp_path, [stream_of(Wider)]).check()
    Lake(tmp_path, [stream_of(Wider)]).check()
