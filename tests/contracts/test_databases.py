"""What opening a database promises, held on SQLite and PostgreSQL: writers queue, readers see one snapshot, other columns are refused."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection
from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, select, text

from tests.databases import new_database
from tidemill.errors import ConflictError, SettingsError, UnavailableError
from tidemill.stores import open_sqlite
from tidemill.stores.column_types import Word
from tidemill.stores.cursors import Cursor, reading, reading_cursor, writing_cursor
from tidemill.stores.databases import Databases
from tidemill.stores.postgres import open_postgres
from tidemill.stores.schema_version import STEPS

TABLES = MetaData()
NUMBER = Table("number", TABLES, Column("n", Integer, nullable=False), Column("what", Word, nullable=False, default=""))
Open = Callable[[MetaData], Engine]


@pytest.fixture(params=["sqlite", "postgresql"])
def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same database as often as asked; all are closed in the end."""
    url = None if request.param == "sqlite" else new_database(request.getfixturevalue("postgres_url"))
    databases, opened = Databases(tmp_path / "not" / "there", url), list[Engine]()

    def open_it(tables: MetaData) -> Engine:
        opened.append(databases.open("numbers", tables))
        return opened[-1]

    yield open_it
    for engine in opened:
        engine.dispose()


def numbers(engine: Engine) -> list[int]:
    with reading(engine).connect() as connection:
        return sorted(connection.execute(select(NUMBER.c.n)).scalars())


def test_opening_makes_it_and_keeps_what_is_there(open_one: Open) -> None:
    with open_one(TABLES).begin() as connection:
        connection.execute(insert(NUMBER).values(n=1))
    assert numbers(open_one(TABLES)) == [1]


def test_other_columns_are_refused_by_name(open_one: Open) -> None:
    open_one(TABLES)
    newer = MetaData()
    Table("number", newer, Column("n", Integer, nullable=False), Column("unit", Integer), Column("size", Integer))
    with pytest.raises(ConflictError, match=r"numbers.* was made by another version.*'number' has no size, unit; use that version"):
        open_one(newer)


def add_unit(cursor: Cursor) -> None:
    """From version 1 to 2."""
    cursor.execute("alter table number add column unit varchar")


def of_later(*steps: Callable[[Cursor], None]) -> MetaData:
    """The table after some steps."""
    tables = MetaData(info={STEPS: steps})
    Table("number", tables, *(Column(name, Integer) for name in ("n", *(["unit"] if steps else []))))
    return tables


def test_each_step_from_version_to_version_is_taken_once(open_one: Open) -> None:
    with open_one(TABLES).begin() as connection:
        connection.execute(insert(NUMBER).values(n=1))
    for _ in range(2):
        engine = open_one(of_later(add_unit))
        with reading_cursor(engine) as cursor:
            assert [tuple(row) for row in cursor.execute("select n, unit from number")] == [(1, None)]
    with pytest.raises(ConflictError, match=r"numbers.* is of schema version 2, this tidemill knows versions up to 1: a later one made it"):
        open_one(TABLES)
    open_one(MetaData())  # who reads without tables of its own


def test_a_new_database_is_of_todays_version_without_any_step(open_one: Open) -> None:
    open_one(of_later(add_unit))
    open_one(of_later(add_unit))


def test_one_is_read_beside_another_under_its_name(databases: Databases) -> None:
    others = MetaData()
    Table("other", others, Column("n", Integer))
    for name, tables in (("numbers", TABLES), ("others", others)):
        databases.open(name, tables)
    engine = databases.open_beside("numbers", "others")
    for _ in range(2):
        with reading_cursor(engine) as cursor:
            assert cursor.execute("select count(*) from number join others.other on other.n = number.n").fetchone()[0] == 0


def test_a_reader_sees_one_snapshot_and_stops_no_writer(open_one: Open) -> None:
    engine = open_one(TABLES)
    with reading(engine).connect() as reader:
        assert reader.execute(select(NUMBER.c.n)).scalars().all() == []
        with engine.begin() as writer:
            writer.execute(insert(NUMBER).values(n=1))
        assert reader.execute(select(NUMBER.c.n)).scalars().all() == []
    assert numbers(engine) == [1]


def test_a_cursor_reads_one_snapshot_and_writes_all_or_nothing(open_one: Open) -> None:
    engine = open_one(TABLES)
    with reading_cursor(engine) as reader:
        assert reader.execute("select count(*) from number").fetchone()[0] == 0
        with writing_cursor(engine) as writer:
            writer.executemany("insert into number (n, what) values (?2, ?1)", [("%s", 1), ("b", 2)])
        assert reader.execute("select count(*) from number").fetchone()[0] == 0
    with pytest.raises(RuntimeError), writing_cursor(engine) as writer:
        assert writer.execute("update number set n = n + ?", (10,)).rowcount == 2
        raise RuntimeError
    with reading_cursor(engine) as reader:
        assert [tuple(row) for row in reader.execute("select n, what from number where n < ? order by n", (5,))] == [(1, "%s"), (2, "b")]


def test_text_is_ordered_by_its_bytes(open_one: Open) -> None:
    engine = open_one(TABLES)
    with writing_cursor(engine) as cursor:
        cursor.executemany("insert into number (n, what) values (0, ?)", [("b",), ("B",), ("é",), ("a",), ("z",), ("_",)])
        ordered = cursor.execute("select what from number order by what").fetchall()
    assert [row[0] for row in ordered] == ["B", "_", "a", "b", "z", "é"]


def test_text_may_hold_the_letter_of_number_0_and_is_found_by_it(open_one: Open) -> None:
    engine = open_one(TABLES)
    with writing_cursor(engine) as cursor:
        cursor.execute("insert into number (n, what) values (1, ?)", ("a\0b",))
    with engine.begin() as connection:
        connection.execute(insert(NUMBER), [{"n": 2, "what": "a\0b"}, {"n": 3, "what": "ab"}])
        connection.execute(insert(NUMBER).values(n=4, what="a\0b"))
    with reading_cursor(engine) as cursor:
        assert cursor.execute("select sum(n) from number where what = ?", ("a\0b",)).fetchone()[0] == 7
    with reading(engine).connect() as reader:
        assert reader.execute(select(NUMBER.c.n).where(NUMBER.c.what == "a\0b").order_by(NUMBER.c.n)).scalars().all() == [1, 2, 4]


@pytest.mark.parametrize("by_cursor", [False, True])
def test_writers_that_read_first_queue_instead_of_failing(open_one: Open, by_cursor: bool) -> None:
    """Each reads the greatest number and writes the next one; without the lock at the beginning two would write the same."""
    engines = [open_one(TABLES) for _ in range(3)]

    def count_on(place: int) -> None:
        for _ in range(20):
            if by_cursor:
                with writing_cursor(engines[place]) as cursor:
                    (last,) = cursor.execute("select coalesce(max(n), 0) from number").fetchone()
                    cursor.execute("insert into number (n, what) values (?, '')", (last + 1,))
            else:
                with engines[place].begin() as connection:
                    last = max(connection.execute(select(NUMBER.c.n)).scalars().all(), default=0)
                    connection.execute(insert(NUMBER).values(n=last + 1))

    writers = [threading.Thread(target=count_on, args=(place,)) for place in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert numbers(engines[0]) == list(range(1, 61))


def test_both_ends_notice_when_the_other_has_gone_from_the_network(postgres_url: str) -> None:
    engine = open_postgres(new_database(postgres_url), "numbers", TABLES)
    with engine.begin() as connection:
        told = {name: connection.execute(text(f"show {name}")).scalar_one() for name in ("tcp_keepalives_idle", "tcp_user_timeout")}
        with socket.socket(fileno=os.dup(connection.connection.driver_connection.fileno())) as ours:  # type: ignore[union-attr]
            idle_s = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            unanswered_ms = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    engine.dispose()
    assert told == {"tcp_keepalives_idle": "10", "tcp_user_timeout": "30000"}
    assert (idle_s, unanswered_ms) == (10, 30_000)


def test_who_stands_still_in_a_transaction_loses_it_and_the_right_to_write(postgres_url: str) -> None:
    engines = [open_postgres(new_database(postgres_url), "numbers", TABLES)]
    engines.append(open_postgres(engines[0].url.render_as_string(hide_password=False), "numbers", TABLES))
    with pytest.raises(UnavailableError, match="idle-in-transaction"), writing_cursor(engines[0]) as standing:
        standing.execute("insert into number (n, what) values (1, '')")
        standing.execute("set local idle_in_transaction_session_timeout = '500ms'")
        with writing_cursor(engines[1]) as other:  # waits for it to be thrown out
            other.execute("insert into number (n, what) values (2, '')")
        standing.execute("insert into number (n, what) values (3, '')")
    with writing_cursor(engines[0]) as again:
        again.execute("insert into number (n, what) values (4, '')")
    assert numbers(engines[1]) == [2, 4]
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("by_cursor", [True, False])
@pytest.mark.parametrize("how", ["rows to come", "statements in one go", "a message after one"])
def test_who_stands_still_in_the_midst_of_statements_loses_the_right_to_write(postgres_url: str, how: str, by_cursor: bool) -> None:
    engines = [open_postgres(new_database(postgres_url), "numbers", TABLES)]
    engines.append(open_postgres(engines[0].url.render_as_string(hide_password=False), "numbers", TABLES))
    with engines[1].begin() as connection:
        for setting in ("lock_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(text(f"set {setting} = '500ms'"))  # of its connection, the one that is in the pool

    def write() -> None:
        if by_cursor:
            with writing_cursor(engines[1]) as other:
                other.execute("insert into number (n, what) values (2, '')")
        else:
            with engines[1].begin() as connection:
                connection.execute(insert(NUMBER).values(n=2))

    with pytest.raises(UnavailableError, match=r"administrator command|server closed"), writing_cursor(engines[0]) as standing:
        driver: Connection[Any] = standing.raw.connection  # type: ignore[attr-defined]
        if how == "rows to come":
            with standing.raw.copy("copy number (n, what) from stdin") as copy:  # type: ignore[attr-defined]
                copy.write_row((1, ""))
                write()
        else:
            if how == "a message after one":
                standing.execute("insert into number (n, what) values (1, '')")
            with driver.pipeline():
                if how == "statements in one go":
                    standing.execute("insert into number (n, what) values (1, '')")
                driver.pgconn.send_flush_request()
                driver.pgconn.flush()
                write()
    assert numbers(engines[0]) == [2]
    for engine in engines:
        engine.dispose()


def test_who_cannot_get_the_right_to_write_is_told_plainly(postgres_url: str) -> None:
    engines = [open_postgres(new_database(postgres_url), "numbers", TABLES)]
    engines.append(open_postgres(engines[0].url.render_as_string(hide_password=False), "numbers", TABLES))
    with engines[1].begin() as connection:
        connection.execute(text("set lock_timeout = '200ms'"))
    with engines[0].begin():
        with pytest.raises(UnavailableError, match="lock timeout"), engines[1].begin():
            raise AssertionError("it has the right to write, as another has")
        with pytest.raises(UnavailableError, match="lock timeout"), writing_cursor(engines[1]):
            raise AssertionError("it has the right to write, as another has")
    with engines[1].begin() as connection:
        connection.execute(insert(NUMBER).values(n=1))
    assert numbers(engines[0]) == [1]
    for engine in engines:
        engine.dispose()


def test_a_file_is_in_wal_mode(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "x.db", TABLES)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar_one() == "wal"
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("postgresql://ann:secret@127.0.0.1:1/x", UnavailableError, "ann:***@127.0.0.1:1/x does not answer"),
        ("postgresql://127.0.0.1:1/x?user=ann&password=secret", UnavailableError, "127.0.0.1:1/x?user=ann does not answer"),
        ("postgresql://ann:half@secret@127.0.0.1:1/x", SettingsError, "write %40 in its place"),
        ("mysql://ann:secret@127.0.0.1/x", SettingsError, "a database of 'mysql'"),
        ("secret", SettingsError, "cannot be read"),
    ],
)
def test_a_database_that_cannot_be_opened_is_told_without_its_password(url: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind) as raised:
        open_postgres(url, "numbers", TABLES)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
