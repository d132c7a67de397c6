"""The driver's own cursor, for what runs at every step: there Core costs as much as the statement. Values are bound as everywhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Engine

from tidemill.errors import UnavailableError
from tidemill.stores.postgres_cursor import begin_reading, begin_writing
from tidemill.stores.postgres_errors import GONE, is_gone, unavailable
from tidemill.stores.sqlite_errors import unusable


class Cursor(Protocol):
    """What both drivers' cursors can do; values stand as `?`, or as `?1` where one is used more than once."""

    @property
    def rowcount(self) -> int:
        """How many rows the last statement changed."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run one statement for each of many rows."""
        ...

    def fetchone(self) -> Any:
        """The next row; None after the last."""
        ...

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """The rows that are left, one by one."""
        ...


def reading(engine: Engine) -> Engine:
    """The same database for reading: `reading(engine).connect()` holds one snapshot and never takes the write lock."""
    return engine.execution_options(reading=True)


@contextmanager
def reading_cursor(engine: Engine) -> Iterator[Cursor]:
    """A cursor within one snapshot."""
    with _cursor(engine, begin_reading, "BEGIN") as (_, cursor):
        yield cursor


@contextmanager
def writing_cursor(engine: Engine) -> Iterator[Cursor]:
    """A cursor within a transaction that commits when the block ends and changes nothing when it raises; one writer at a time."""
    with _cursor(engine, begin_writing, "BEGIN IMMEDIATE") as (connection, cursor):
        yield cursor
        connection.commit()


@contextmanager
def _cursor(engine: Engine, begin_postgres: Any, begin_sqlite: str) -> Iterator[tuple[Any, Cursor]]:
    with _plainly(engine):
        connection = engine.raw_connection()
    try:
        with _plainly(engine):
            if engine.dialect.name == "postgresql":
                yield connection, begin_postgres(connection.driver_connection)
            else:
                cursor: Any = connection.cursor()
                cursor.execute(begin_sqlite)
                yield connection, cursor
                cursor.close()
    except UnavailableError:
        if engine.dialect.name == "postgresql":
            connection.invalidate()  # a rollback would be one more error of a connection that has gone
        raise
    finally:
        connection.close()  # back to the pool, which rolls back what was not committed


@contextmanager
def _plainly(engine: Engine) -> Iterator[None]:
    """Say of a database that cannot be used just now so much, and where it is."""
    try:
        yield
    except GONE as error:
        if not is_gone(error):
            raise
        raise unavailable(engine.url, error) from error
    except sqlite3.Error as error:
        if (told := unusable(engine.url.database, error)) is None:
            raise
        raise told from error
