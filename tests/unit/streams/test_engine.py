"""The engine's edges; its rules against a naive twin are in tests/property/test_engine.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.events.taps import RETENTION_MS, T0, TAPS, entry, make_engine, open_log, open_state
from tidemill.clock import HOUR_MS
from tidemill.errors import ConflictError
from tidemill.stores import Databases, SqlLog
from tidemill.streams import Engine, Entry


def test_two_engines_on_one_state_apply_each_event_once(tmp_path: Path) -> None:
    """The second reads its position, the first commits, the second may not."""
    log, state, other = open_log(tmp_path), open_state(tmp_path), open_state(tmp_path)
    log.append([entry(f"t{place}", T0) for place in range(6)], now_ms=0)

    class Slow(SqlLog):
        def read(self, *args, **kwargs):  # type: ignore[no-untyped-def]  # whatever it is asked
            found = super().read(*args, **kwargs)
            make_engine(log, state).step(2)
            return found

    slow_log = Slow(Databases(tmp_path), ["taps"])
    with pytest.raises(ConflictError):
        make_engine(slow_log, other).step(4)
    assert state.books(log)["taps"].applied == 2
    assert make_engine(log, other).drain(4) == 4
    assert state.books(log)["taps"].applied == 6
    for store in (log, slow_log, state, other):
        store.close()


def test_an_event_of_no_stream_is_kept_with_the_reason(tmp_path: Path) -> None:
    log, state = SqlLog(Databases(tmp_path), ["taps", "gone"]), open_state(tmp_path)
    log.append([Entry("gone", "{}", T0), entry("t1", T0)], now_ms=0)
    assert make_engine(log, state).drain(10) == 2
    (letter,) = state.dead_letters("gone")
    assert (letter["reason"], letter["payload"]) == ("unknown_stream", "{}")
    assert letter["detail"] == "no stream 'gone' in the project; there is: taps"
    assert state.books(log)["taps"].applied == 1
    state.close()
    log.close()


def test_a_late_event_says_how_late_and_what_to_do(tmp_path: Path) -> None:
    log, state = open_log(tmp_path), open_state(tmp_path)
    log.append([entry("t1", T0, T0 + RETENTION_MS["taps"] + HOUR_MS)], now_ms=0)
    make_engine(log, state).drain(10)
    (letter,) = state.dead_letters("taps")
    assert letter["reason"] == "late"
    assert "event 't1' of stream 'taps' is 5.1 h old, past the stream's retention of 4.1 h; raise allowed_lateness" in letter["detail"]
    state.close()
    log.close()


def test_an_empty_log_leaves_everything_as_it_is(tmp_path: Path) -> None:
    log, state = open_log(tmp_path), open_state(tmp_path)
    engine = Engine(log, state, [TAPS], RETENTION_MS)
    assert (engine.step(10), engine.drain(10)) == (0, 0)
    assert state.position_and_time()[1] == 0
    state.close()
    log.close()
