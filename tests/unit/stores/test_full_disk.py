"""A file that cannot be written just now: an error that says which, nothing half, and going on once it can be."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, func, insert, select

from tests.unit.events.taps import T0, entry, make_engine, open_log
from tests.unit.events.taps import open_state as open_taps
from tidemill.errors import UnavailableError
from tidemill.stores import Lookup
from tidemill.stores.at_once import AtOnce
from tidemill.stores.cursors import reading, writing_cursor
from tidemill.stores.sqlite import connect_sqlite, open_sqlite

TABLES = MetaData()
NOTE = Table("note", TABLES, Column("id", Integer, primary_key=True), Column("text", Text))
LONG = "x" * 100_000
FULL = r"note.db cannot be used just now: database or disk is full; make room"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_sqlite(tmp_path / "note.db", TABLES)
    yield opened
    opened.dispose()


def limit(engine: Engine, pages: int) -> None:
    """Let the connection of this thread make the file no larger, as a full disk would."""
    with closing(engine.raw_connection()) as connection:
        connection.cursor().execute(f"PRAGMA max_page_count={pages}")


def count(engine: Engine) -> int:
    with reading(engine).connect() as connection:
        return int(connection.execute(select(func.count()).select_from(NOTE)).scalar_one())


def test_statements_and_cursors_say_so_and_go_on(engine: Engine) -> None:
    limit(engine, 1)
    with pytest.raises(UnavailableError, match=FULL), engine.begin() as connection:
        connection.execute(insert(NOTE).values(text=LONG))
    with pytest.raises(UnavailableError, match=FULL), writing_cursor(engine) as cursor:
        cursor.execute("insert into note (text) values (?)", (LONG,))
    assert count(engine) == 0
    limit(engine, 1_000_000)
    with writing_cursor(engine) as cursor:
        cursor.execute("insert into note (text) values (?)", (LONG,))
    assert count(engine) == 1


def test_writing_at_once_says_so_and_goes_on(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "note.db"
    connection = connect_sqlite(path, busy_s=0)
    with closing(AtOnce(connection, str(path))) as at_once:
        connection.execute("PRAGMA max_page_count=1")
        with pytest.raises(UnavailableError, match=FULL):
            at_once.write(lambda cursor: cursor.execute("insert into note (text) values (?)", (LONG,)))
        connection.execute("PRAGMA max_page_count=1000000")
        assert at_once.write(lambda cursor: cursor.execute("insert into note (text) values (?)", (LONG,)).rowcount) == 1
    assert count(engine) == 1


def test_one_that_others_write_to_for_too_long_is_told_of(engine: Engine, tmp_path: Path) -> None:
    with closing(engine.raw_connection()) as mine:
        mine.cursor().execute("PRAGMA busy_timeout=1")
    with closing(connect_sqlite(tmp_path / "note.db", busy_s=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="database is locked"), engine.begin():
            pass
        with pytest.raises(UnavailableError, match="database is locked"), writing_cursor(engine):
            pass


def test_an_engine_whose_tables_find_no_room_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    log, state = open_log(tmp_path), open_taps(tmp_path)
    log.append([entry(f"t{place}", T0, line="a") for place in range(3)], now_ms=0)
    for short in (full, lambda *_given: 1):
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwritev", short)
            with pytest.raises(UnavailableError, match=r"the tables cannot be written just now: .*No space left on device"):
                make_engine(log, state).drain(10)
        assert state.books(log)["taps"].applied == 0
    assert make_engine(log, state).drain(10) == 3
    assert state.tiles.read([Lookup("by_line", ["a"])], T0).values["by_line__n_all"].tolist() == [3.0]
    state.close()
    log.close()
