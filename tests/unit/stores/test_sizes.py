"""The room that tiles and ids will take is what they do take once the rate has lasted."""

from __future__ import annotations

from pathlib import Path

from tests.unit.events.taps import RETENTION_MS, T0, entry, make_engine, open_log, open_state
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.stores import SqlState


def feed(state: SqlState, folder: Path, hours: range) -> None:
    """A tap a minute, each of a line of its own."""
    log = open_log(folder)
    minutes = range(hours.start * 60, hours.stop * 60)
    log.append([entry(f"t{minute}", T0 + minute * MINUTE_MS, line=f"l{minute}", gate="g") for minute in minutes], now_ms=0)
    make_engine(log, state).drain(100)
    log.close()


def test_what_is_foretold_after_a_while_comes_true(tmp_path: Path) -> None:
    state = open_state(tmp_path)
    assert [size.n_bytes_ahead for size in state.sizes()] == [0] * len(state.sizes())
    feed(state, tmp_path, range(4))
    early = {size.what: size for size in state.sizes()}
    feed(state, tmp_path, range(4, 60))
    late = {size.what: size for size in state.sizes()}
    assert "ids of taps" in late and any(what.startswith("tiles of by_line, by_line_and_gate") for what in late)
    for what, size in late.items():
        assert size.rows > 0
        assert 0.7 * size.n_bytes <= early[what].n_bytes_ahead <= 2.5 * size.n_bytes, (what, early[what], size)
        assert 0.7 * size.n_bytes <= size.n_bytes_ahead <= 2.5 * size.n_bytes, (what, size)
    ids = late["ids of taps"]
    assert 0.9 < ids.rows_per_s * 60 < 1.1, "one a minute"
    assert ids.rows >= RETENTION_MS["taps"] // MINUTE_MS
    assert ids.rows <= (RETENTION_MS["taps"] + 4 * HOUR_MS) // MINUTE_MS
    state.close()
