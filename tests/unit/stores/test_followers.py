"""A follower of applied events is never shown a duplicate, however far the lake has gone ahead of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.unit.events.taps import T0, TAPS, entry, lake_writer, make_engine, open_log, open_state
from tidemill.stores import AppliedReader, Lake
from tidemill.streams import Position


def test_duplicates_are_remembered_until_lake_and_followers_have_passed(tmp_path: Path) -> None:
    log, state, lake = open_log(tmp_path), open_state(tmp_path), Lake(tmp_path / "lake", [TAPS])
    reader = AppliedReader(log, state, [TAPS])

    def shown(after: Position) -> list[int]:
        return [int(offset) for batches, _ in reader.after(after, 2) for batch in batches for offset in batch.offsets]

    def remembered() -> int:
        with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
            return int(connection.execute("select count(*) from duplicate").fetchone()[0])

    state.followers.start("reactions", state.position())
    log.append([entry(name, T0) for name in ("t1", "t1", "t2", "t1", "t2")], T0)
    make_engine(log, state).drain(10)
    lake_writer(log, state, lake).flush()
    assert (shown(Position({})), remembered()) == ([1, 3], 3)

    state.followers.start("another", Position({"taps": {"0": 4}}))
    state.followers.start("reactions", Position({"taps": {"0": 4}}))
    state.in_lake(state.position())
    assert remembered() == 3, "the slowest counts"
    state.followers.passed("reactions", Position({"taps": {"0": 2}}))
    state.in_lake(state.position())
    assert (shown(Position({"taps": {"0": 2}})), remembered()) == ([3], 2)
    state.followers.leave("reactions")
    state.followers.leave("nobody")
    state.in_lake(state.position())
    assert remembered() == 1
    log.close()
    state.close()
