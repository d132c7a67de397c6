"""A view that comes later, filled from the lake and what waits for it, says what it would have said from the start."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.unit.events.taps import BY_LINE, BY_LINE_AND_GATE, RETENTION_MS, T0, TAPS, entry, lake_writer, make_engine, open_log
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.errors import ConflictError, NotFoundError, NotReadyError
from tidemill.stores import AppliedReader, Lake, Lookup, MappedState, SqlState, backfill_view, rebuild

KEYS = ["a,n", "a,s", "b,n", "b,s", None]


@pytest.mark.parametrize("in_lake", [0, 60, 100])
def test_a_backfilled_view_says_what_it_would_have_said_from_the_start(tmp_path: Path, in_lake: int) -> None:
    draw = random.Random(in_lake)
    log, lake = open_log(tmp_path), Lake(tmp_path / "lake", [TAPS])
    early = MappedState(tmp_path / "early.db", [BY_LINE, BY_LINE_AND_GATE], {}, RETENTION_MS)
    late = MappedState(tmp_path / "late.db", [BY_LINE], {}, RETENTION_MS)
    times = [T0 + 2 * place * MINUTE_MS - draw.choice([0, HOUR_MS]) for place in range(100)]
    entries = [
        entry(
            f"t{place}",
            times[place],
            T0 + 2 * place * MINUTE_MS,
            line=draw.choice("ab"),
            gate=draw.choice("ns"),
            fare=draw.choice([None, 1, 2, 3]),
            riders=draw.randrange(5),
        )
        for place in range(100)
    ]
    log.append(entries[:in_lake], now_ms=0)
    make_engine(log, late).drain(7)
    lake_writer(log, late, lake).flush()
    log.append(entries[in_lake:], now_ms=0)
    make_engine(log, late).drain(7)
    make_engine(log, early).drain(11)
    late.close()
    late = MappedState(tmp_path / "late.db", [BY_LINE, BY_LINE_AND_GATE], {}, RETENTION_MS)  # the project has gained a view
    at_ms = early.position_and_time()[1]
    reach_ms = at_ms - BY_LINE_AND_GATE.retention_ms
    n_read = sum(at >= reach_ms for at in times)
    if in_lake < 100:
        with pytest.raises(NotReadyError, match=f"the lake has events up to offset {in_lake} of the log, view 'by_line_and_gate' lacks"):
            backfill_view(late, lake, BY_LINE_AND_GATE)
    lake_writer(log, late, lake).flush()
    told: list[int] = []
    assert backfill_view(late, lake, BY_LINE_AND_GATE, told.append, at_once=13) == n_read
    assert told == [*range(13, n_read, 13), n_read]
    assert backfill_view(late, lake, BY_LINE_AND_GATE) == 0, "it is whole"
    want = early.tiles.read([Lookup("by_line_and_gate", KEYS)], at_ms)
    got = late.tiles.read([Lookup("by_line_and_gate", KEYS)], at_ms)
    assert got.position == want.position
    for column, values in want.values.items():
        np.testing.assert_allclose(got.values[column], values, rtol=1e-12, err_msg=column)
    assert want.values["by_line_and_gate__n_all"].sum() > 10
    log.append([entry("next", at_ms, at_ms, line="a", gate="n", fare=2)], now_ms=0)
    for state in (early, late):  # and live events go on from there
        make_engine(log, state).drain(7)
    counts = [
        state.tiles.read([Lookup("by_line_and_gate", ["a,n"])], at_ms).values["by_line_and_gate__n_all"][0] for state in (early, late)
    ]
    assert counts[0] == counts[1] == want.values["by_line_and_gate__n_all"][0] + 1
    for state in (early, late):
        state.close()
    log.close()


def test_a_view_that_is_not_there_is_named(tmp_path: Path) -> None:
    state = MappedState(tmp_path / "state.db", [BY_LINE], {}, RETENTION_MS)
    with pytest.raises(NotFoundError, match="no view or table 'by_gate'; there is: by_line"):
        state.tiles.read([Lookup("by_gate", ["x"])], T0)
    state.close()


def test_expired_tiles_and_ids_go_and_what_a_window_can_reach_stays(tmp_path: Path) -> None:
    log, state = open_log(tmp_path), MappedState(tmp_path / "state.db", [BY_LINE], {}, RETENTION_MS)
    far_ms = T0 + BY_LINE.retention_ms + 12 * HOUR_MS
    log.append([entry("old", T0, T0, line="x", fare=1), entry("new", far_ms - 2 * HOUR_MS, far_ms, line="x", fare=2)], now_ms=0)
    make_engine(log, state).drain(1)
    assert state.tiles.read([Lookup("by_line", ["x"])], T0).values["by_line__n_all"].tolist() == [0]
    assert state.tiles.read([Lookup("by_line", ["x"])], far_ms).values["by_line__n_fares"].tolist() == [1]
    assert state.known_until("taps", ["old"])[0] < far_ms <= state.known_until("taps", ["new"])[0]
    state.close()
    log.close()


def said(state: SqlState, at_ms: int) -> dict[str, str]:
    """All values of the keys, as text: a missing one equals itself."""
    lookups = [Lookup("by_line", ["a", "b", None]), Lookup("by_line_and_gate", KEYS)]
    return {column: str(values.tolist()) for column, values in state.tiles.read(lookups, at_ms).values.items()}


@pytest.mark.parametrize("in_lake", [0, 40, 90])
def test_tables_that_were_lost_are_built_anew(tmp_path: Path, in_lake: int) -> None:
    """The machine went down, or the folder is gone: the files are not trusted, lake and log say what was in them."""
    draw = random.Random(in_lake)
    log, lake = open_log(tmp_path), Lake(tmp_path / "lake", [TAPS])
    times = [T0 + 10 * place * MINUTE_MS for place in range(100)]
    entries = [
        entry(f"t{draw.randrange(place + 1)}", at_ms - draw.choice([0, HOUR_MS]), at_ms, line=draw.choice("ab"), gate="n", fare=1.5)
        for place, at_ms in enumerate(times)
    ]
    log.append(entries[:90], now_ms=0)
    state = MappedState(tmp_path / "state.db", [BY_LINE, BY_LINE_AND_GATE], {}, RETENTION_MS)
    if in_lake:
        make_engine(log, state).step(in_lake)
        lake_writer(log, state, lake).flush()
    make_engine(log, state).drain(7)
    want, books = said(state, times[89]), state.books(log)
    counted = {
        tap_id: until_ms for tap_id, until_ms in state.seen("taps", [f"t{place}" for place in range(100)]).items() if until_ms >= times[89]
    }
    state.close()
    catalog = tmp_path / "state.tables" / "catalog.json"
    catalog.write_text(catalog.read_text().replace('"boot": "', '"boot": "another '))
    state = MappedState(tmp_path / "state.db", [BY_LINE, BY_LINE_AND_GATE], {}, RETENTION_MS)
    assert state.is_lost()
    assert state.sets.partial() == ["by_line", "by_line_and_gate"]
    assert said(state, times[89])["by_line__n_all"] == "[nan, nan, nan]", "what is lost is missing, not 0"
    log.append(entries[90:], now_ms=0)
    with pytest.raises(ConflictError, match="the tables of tiles and ids are gone"):
        make_engine(log, state).step(1)
    for _ in range(2):  # killed in the middle, it begins again
        rebuild(state, lake, AppliedReader(log, state, [TAPS]), [TAPS], RETENTION_MS)
    assert not state.is_lost()
    assert said(state, times[89]) == want
    assert {tap_id: until_ms for tap_id, until_ms in state.seen("taps", list(counted)).items()} == counted
    assert state.books(log)["taps"].applied == books["taps"].applied
    whole = MappedState(tmp_path / "whole.db", [BY_LINE, BY_LINE_AND_GATE], {}, RETENTION_MS)
    for one in (state, whole):
        make_engine(log, one).drain(7)
    assert said(state, times[99]) == said(whole, times[99])
    assert state.books(log) == whole.books(log)
    for one in (state, whole):
        one.close()
    log.close()


def test_an_engine_that_lacks_the_view_stops_its_backfill(tmp_path: Path) -> None:
    log, lake = open_log(tmp_path), Lake(tmp_path / "lake", [TAPS])
    log.append([entry(f"t{place}", T0 + place, line="a", gate="n") for place in range(10)], now_ms=0)
    old = MappedState(tmp_path / "state.db", [BY_LINE], {}, RETENTION_MS)
    make_engine(log, old).drain(3)
    lake_writer(log, old, lake).flush()
    new = MappedState(tmp_path / "state.db", [BY_LINE, BY_LINE_AND_GATE], {}, RETENTION_MS)

    def go_on(_done: int) -> None:
        log.append([entry("next", T0 + 20, line="a", gate="n")], now_ms=0)
        make_engine(log, old).drain(3)

    with pytest.raises(ConflictError, match=r"an engine that does not know view .by_line_and_gate. is running"):
        backfill_view(new, lake, BY_LINE_AND_GATE, go_on, at_once=4)
    assert new.sets.partial() == ["by_line_and_gate"]
    log.append([entry("after", T0 + 30, line="a", gate="n")], now_ms=0)
    make_engine(log, new).drain(3)  # the engine with the new project file takes over: what the old one left out is filled in too
    lake_writer(log, new, lake).flush()
    assert backfill_view(new, lake, BY_LINE_AND_GATE) == 11
    values = new.tiles.read([Lookup("by_line_and_gate", ["a,n"]), Lookup("by_line", ["a"])], T0 + 30).values
    assert (values["by_line_and_gate__n_all"].tolist(), values["by_line__n_all"].tolist()) == ([12.0], [12.0])
    for state in (old, new):
        state.close()
    log.close()
