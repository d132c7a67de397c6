"""One way to open SQLite: writers queue, readers see one moment, nothing written is torn."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table

from tidemill.stores import open_sqlite
from tidemill.stores.sqlite import reading

TABLES = MetaData()
Table("tally", TABLES, Column("n", Integer, nullable=False))


def test_writers_queue_and_no_update_is_lost(tmp_path: Path) -> None:
    """Each reads, then writes: with a lock taken at the write only, two would read the same number or fail."""
    with open_sqlite(tmp_path / "a.db", TABLES).begin() as connection:
        connection.exec_driver_sql("insert into tally (n) values (0)")

    def work() -> None:
        engine = open_sqlite(tmp_path / "a.db", TABLES)
        for _ in range(50):
            with engine.begin() as connection:
                (n,) = connection.exec_driver_sql("select n from tally").one()
                connection.exec_driver_sql("update tally set n = ?", (n + 1,))
        engine.dispose()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    engine = open_sqlite(tmp_path / "a.db", TABLES)
    with reading(engine).connect() as connection:
        assert connection.exec_driver_sql("select n from tally").scalar_one() == 150
    engine.dispose()


def test_a_reader_sees_one_moment_and_stops_no_writer(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "deep" / "a.db", TABLES)
    with reading(engine).connect() as reader:
        assert reader.exec_driver_sql("select count(*) from tally").scalar_one() == 0
        with engine.begin() as writer:
            writer.exec_driver_sql("insert into tally (n) values (1)")
        assert reader.exec_driver_sql("select count(*) from tally").scalar_one() == 0
    with reading(engine).connect() as reader:
        assert reader.exec_driver_sql("select count(*) from tally").scalar_one() == 1
        assert reader.exec_driver_sql("pragma journal_mode").scalar_one() == "wal"
    engine.dispose()
