"""One way to open SQLite: writers queue, readers see one snapshot."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from tidemill.errors import ConflictError
from tidemill.stores import open_sqlite
from tidemill.stores.sqlite import reading

TABLES = MetaData()
NUMBER = Table("number", TABLES, Column("n", Integer, nullable=False))


def test_opening_makes_the_folder_and_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "x.db"
    engine = open_sqlite(path, TABLES)
    with engine.begin() as connection:
        connection.execute(insert(NUMBER).values(n=1))
    engine.dispose()
    again = open_sqlite(path, TABLES)
    with reading(again).connect() as connection:
        assert connection.execute(select(NUMBER.c.n)).scalars().all() == [1]
        assert connection.exec_driver_sql("pragma journal_mode").scalar_one() == "wal"
    again.dispose()


def test_a_file_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    open_sqlite(tmp_path / "x.db", TABLES).dispose()
    newer = MetaData()
    Table("number", newer, Column("n", Integer, nullable=False), Column("unit", Integer), Column("what", Integer))
    with pytest.raises(ConflictError, match=r"x\.db was made by another version.*'number' has no unit, what; use that version"):
        open_sqlite(tmp_path / "x.db", newer)


def test_a_reader_sees_one_snapshot_and_stops_no_writer(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "x.db", TABLES)
    with reading(engine).connect() as reader:
        assert reader.execute(select(NUMBER.c.n)).scalars().all() == []
        with engine.begin() as writer:
            writer.execute(insert(NUMBER).values(n=1))
        assert reader.execute(select(NUMBER.c.n)).scalars().all() == []
    with reading(engine).connect() as reader:
        assert reader.execute(select(NUMBER.c.n)).scalars().all() == [1]
    engine.dispose()


def test_writers_that_read_first_queue_instead_of_failing(tmp_path: Path) -> None:
    """Each reads the greatest number and writes the next one; without the lock at the beginning two would write the same."""
    engines = [open_sqlite(tmp_path / "x.db", TABLES) for _ in range(3)]

    def count_on(place: int) -> None:
        for _ in range(20):
            with engines[place].begin() as connection:
                last = max(connection.execute(select(NUMBER.c.n)).scalars().all(), default=0)
                connection.execute(insert(NUMBER).values(n=last + 1))

    writers = [threading.Thread(target=count_on, args=(place,)) for place in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with reading(engines[0]).connect() as connection:
        assert sorted(connection.execute(select(NUMBER.c.n)).scalars()) == list(range(1, 61))
    for engine in engines:
        engine.dispose()
