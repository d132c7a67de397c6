"""A write-ahead log stays short beside writers, whoever reads meanwhile, and nothing is lost of what it held."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, LargeBinary, MetaData, Table

from tidemill.stores import Databases, wal_upkeep
from tidemill.stores.cursors import reading_cursor, writing_cursor
from tidemill.stores.wal_upkeep import WalUpkeep

TABLES = MetaData()
Table("thing", TABLES, Column("id", Integer, primary_key=True), Column("what", LargeBinary, nullable=False))
MIB = 1 << 20
SHORT = 8 * MIB


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Databases(tmp_path).open("serving", TABLES)
    yield engine
    engine.dispose()


@pytest.fixture
def upkeep(tmp_path: Path) -> WalUpkeep:
    return WalUpkeep(Databases(tmp_path), ["serving", "log"])  # of which the second was never opened


def write(engine: Engine, n_mib: int, upkeep: WalUpkeep | None = None) -> None:
    for _ in range(n_mib):
        with writing_cursor(engine) as cursor:
            cursor.execute("insert into thing (what) values (?)", (bytes(MIB),))
        if upkeep is not None:
            upkeep.step()


def log_bytes(home: Path) -> int:
    return (home / "serving.db-wal").stat().st_size


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("select count(*) from thing").fetchone()[0])


def test_it_stays_short(engine: Engine, upkeep: WalUpkeep, tmp_path: Path) -> None:
    write(engine, 20)
    assert log_bytes(tmp_path) > 2 * SHORT  # so long it grows by itself
    upkeep.step()
    grown = log_bytes(tmp_path)
    write(engine, 30, upkeep)
    assert log_bytes(tmp_path) == grown  # as it was begun anew, more than once
    assert count(tmp_path / "serving.db") == 50


def test_it_never_grows_long(engine: Engine, upkeep: WalUpkeep, tmp_path: Path) -> None:
    write(engine, 40, upkeep)
    assert log_bytes(tmp_path) < SHORT


def test_a_reader_keeps_what_it_sees_and_once_it_ends_the_log_is_begun_anew(engine: Engine, upkeep: WalUpkeep, tmp_path: Path) -> None:
    write(engine, 1)
    with reading_cursor(engine) as cursor:
        assert cursor.execute("select count(*) from thing").fetchone() == (1,)
        write(engine, 20, upkeep)
        assert cursor.execute("select count(*) from thing").fetchone() == (1,)
    grown = log_bytes(tmp_path)
    assert grown > 2 * SHORT
    upkeep.step()
    write(engine, 30, upkeep)
    assert log_bytes(tmp_path) == grown
    assert count(tmp_path / "serving.db") == 51


def test_writers_that_never_stop_let_it_be_begun_anew(
    engine: Engine, upkeep: WalUpkeep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = wal_upkeep._copied

    def while_others_write(connection: sqlite3.Connection) -> tuple[int, int]:
        found = copied(connection)
        with (
            closing(sqlite3.connect(tmp_path / "serving.db", timeout=0)) as writer,
            suppress(sqlite3.OperationalError),  # the upkeep has the lock
            writer,
        ):
            writer.execute("insert into thing (what) values (?)", (b"",))
        return found

    monkeypatch.setattr(wal_upkeep, "_copied", while_others_write)
    write(engine, 40, upkeep)
    assert log_bytes(tmp_path) < SHORT


def test_while_a_writer_takes_long_it_comes_again(engine: Engine, upkeep: WalUpkeep, tmp_path: Path) -> None:
    write(engine, 10)
    with writing_cursor(engine) as cursor:
        cursor.execute("insert into thing (what) values (?)", (b"",))
        upkeep.step()
    write(engine, 30, upkeep)
    assert log_bytes(tmp_path) < 2 * SHORT
    assert count(tmp_path / "serving.db") == 41


def test_it_goes_on_in_a_thread_of_its_own(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_upkeep, "_EVERY_S", 0.001)
    write(engine, 10)
    before = (tmp_path / "serving.db").stat().st_size
    assert before < MIB  # nothing was brought over
    with WalUpkeep(Databases(tmp_path), ["serving"]).going():
        while (tmp_path / "serving.db").stat().st_size < 10 * MIB:
            pass
    assert count(tmp_path / "serving.db") == 10
