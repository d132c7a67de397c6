"""The engine's SQL state: what expires, what is refilled, what readers may ask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.events.taps import (
    BY_LINE,
    BY_LINE_AND_GATE,
    LABEL,
    RETENTION_MS,
    T0,
    TAPS,
    VIEWS,
    entry,
    lake_writer,
    make_engine,
    open_log,
    open_state,
)
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.errors import NotFoundError
from tidemill.features import View, col, count
from tidemill.stores import Lake, Lookup, MappedState, backfill_view

FIXED_FILES = {"header", "catalog.json", "journal", "writer.lock", "readers.lock"}


def test_tiles_and_ids_past_retention_are_dropped_by_stream_time(tmp_path: Path) -> None:
    log, state = open_log(tmp_path), MappedState(tmp_path / "state.db", VIEWS, {}, RETENTION_MS)
    log.append([entry(f"t{place}", T0 + place * HOUR_MS, line="a") for place in range(10)], now_ms=0)
    make_engine(log, state).drain(1)
    before = set(state.files.tables())
    log.append([entry("t99", T0 + 30 * DAY_MS, line="a")], now_ms=0)
    make_engine(log, state).drain(1)
    after = set(state.files.tables())
    assert before and after and not before & after
    files = {path.name for path in state.files.folder.iterdir()}
    tables = state.files.tables().values()
    assert files == {path.name for table in tables for path in (table.index_path, table.rows_path)} | FIXED_FILES
    assert state.seen("taps", [f"t{place}" for place in range(10)]) == {}
    assert state.seen("taps", ["t99"]) == {"t99": T0 + 30 * DAY_MS + RETENTION_MS["taps"]}
    state.close()
    log.close()


def test_a_missing_key_is_missing_and_counts_zero(tmp_path: Path) -> None:
    state = open_state(tmp_path)
    reading = state.tiles.read([Lookup("by_line", ["nobody", None]), Lookup("by_line_and_gate", [])], T0)
    assert reading.values["by_line__n_all"].tolist() == [0.0, 0.0]
    assert str(reading.values["by_line__mean_fare"].tolist()) == "[nan, nan]"
    assert reading.values["by_line_and_gate__n_all"].tolist() == []
    with pytest.raises(NotFoundError, match="no view or table 'nope'; there is: by_line, by_line_and_gate"):
        state.tiles.read([Lookup("nope", ["a"])], T0)
    state.close()


def test_views_of_one_shape_are_read_together_and_stay_apart(tmp_path: Path) -> None:
    by_gate = View("by_gate", BY_LINE.stream, entity="gate", features=BY_LINE.features)
    log, state = open_log(tmp_path), MappedState(tmp_path / "s.db", [BY_LINE, by_gate], {}, RETENTION_MS)
    log.append([entry(f"t{place}", T0, line="a" if place < 3 else "b", gate="a") for place in range(5)], now_ms=0)
    make_engine(log, state).drain(10)
    values = state.tiles.read([Lookup("by_gate", ["b", "a"]), Lookup("by_line", ["a", "b", "c"])], T0).values
    assert values["by_gate__n_all"].tolist() == [0.0, 5.0]
    assert values["by_line__n_all"].tolist() == [3.0, 2.0, 0.0]
    state.close()
    log.close()


def test_a_view_declared_before_the_first_event_knows_everything(tmp_path: Path) -> None:
    log, state = open_log(tmp_path), open_state(tmp_path)
    log.append([entry("t1", T0, line="a", gate="x")], now_ms=0)
    make_engine(log, state).drain(10)
    state.close()
    log.close()
    again = open_state(tmp_path)
    assert again.sets.partial() == []
    again.close()


def test_a_view_that_changed_begins_anew_beside_the_others(tmp_path: Path) -> None:
    """Tiles of another definition are never read; the view is to be backfilled."""
    log, state = open_log(tmp_path), open_state(tmp_path)
    log.append([entry("t1", T0, line="a", gate="x")], now_ms=0)
    make_engine(log, state).drain(10)
    state.close()
    changed = View("by_line", BY_LINE.stream, entity="line", features={**BY_LINE.features, "n_2h": count(over="2h", bucket="1min")})
    state = MappedState(tmp_path / "state.db", [changed, BY_LINE_AND_GATE], {}, RETENTION_MS)
    lookups = [Lookup("by_line", ["a"]), Lookup("by_line_and_gate", ["a,x"])]
    values = state.tiles.read(lookups, T0).values
    assert np.isnan(values["by_line__n_all"][0]), "what is not whole is missing, not 0"
    assert values["by_line_and_gate__n_all"][0] == 1.0
    assert state.sets.partial() == ["by_line"]
    log.append([entry("t2", T0, line="a", gate="x")], now_ms=T0)
    make_engine(log, state).drain(10)
    assert state.sets.partial() == ["by_line"]
    assert np.isnan(state.tiles.read(lookups, T0).values["by_line__n_all"][0])
    lake = Lake(tmp_path / "lake", [TAPS])
    lake_writer(log, state, lake).flush()
    assert backfill_view(state, lake, changed) == 1
    assert state.sets.partial() == []
    values = state.tiles.read(lookups, T0).values
    assert (values["by_line__n_all"][0], values["by_line_and_gate__n_all"][0]) == (2.0, 2.0)
    state.close()
    log.close()


def test_outcomes_come_in_order_and_can_be_continued(tmp_path: Path) -> None:
    log, state = open_log(tmp_path), open_state(tmp_path)
    fares = [3.0, None, 1.0, 2.0]
    log.append([entry(f"t{place}", T0 + place, line="a", fare=fare) for place, fare in enumerate(fares)], now_ms=0)
    log.append([entry("t9", T0 + 9, fare=3.0)], now_ms=0)  # no key, so no outcome
    make_engine(log, state).drain(2)
    assert LABEL.key == "line"
    outcomes = state.outcomes("dear", 0, 100)
    assert [(outcome.number, outcome.key, outcome.value) for outcome in outcomes] == [(1, "a", 1.0), (3, "a", 0.0), (4, "a", 1.0)]
    assert state.outcomes("dear", 1, 1) == outcomes[1:2]
    assert state.outcomes("other", 0, 100) == []
    assert state.last_event_ms() == {"taps": T0 + 9}
    state.close()
    log.close()


def test_an_event_that_a_view_does_not_count_takes_no_tile(tmp_path: Path) -> None:
    dear = View("dear", TAPS, entity="line", features={"n": count(over="1h")}, where=col("fare") > 2)
    log, state = open_log(tmp_path), MappedState(tmp_path / "state.db", [dear], {}, RETENTION_MS)
    log.append([entry(f"t{place}", T0, line=f"l{place}", fare=float(place)) for place in range(5)], now_ms=0)
    make_engine(log, state).drain(10)
    (tiles,) = [size for size in state.sizes() if size.what.startswith("tiles")]
    assert tiles.rows == 2
    assert state.tiles.read([Lookup("dear", ["l2", "l3"])], T0).values["dear__n"].tolist() == [0.0, 1.0]
    state.close()
    log.close()
