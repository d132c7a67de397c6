"""A cursor of PostgreSQL that reads the statements written for both databases, within a snapshot or with the right to write.

A writer takes a lock of its schema first, as one of SQLite takes the file's: two writers queue, whatever each goes on to read. It
reads what was committed when it got the lock, so it is not held to a snapshot from before.

Who stands still (SIGSTOP, a debugger) would keep the lock. The server ends whoever does so between two statements, by
`idle_in_transaction_session_timeout`. In the midst of one (rows of a COPY to come, statements sent in one go) it counts as at work, and a
message that is no statement (Flush, of a pipeline) between two stops the server's clock. No limit of the server's ends these: whoever has
waited for `lock_timeout` does, and waits once more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from psycopg import Connection, IsolationLevel, RawCursor
from psycopg.errors import LockNotAvailable

_LOCK_SCHEMA = "select pg_advisory_xact_lock(hashtextextended(current_schema(), 0))"
_ZERO, _FOR_ZERO = "\0", "\uf8ff"
# Said by us in one message, as each message is a wait: the driver would say BEGIN in one of its own.
_BEGIN_READING = "begin isolation level repeatable read read only"
_BEGIN_WRITING = f"begin isolation level read committed read write; {_LOCK_SCHEMA}"
# Who holds the lock and has for so long been waiting for its client, not for the disk or another.
_END_WHO_STANDS_STILL = """
select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid)
where locktype = 'advisory' and granted and objsubid = 1 and database = (select oid from pg_database where datname = current_database())
  and (classid::bigint << 32 | objid::bigint) = hashtextextended(current_schema(), 0)
  and wait_event_type = 'Client'
  and state_change < clock_timestamp() - nullif(current_setting('idle_in_transaction_session_timeout'), '0')::interval"""
_PLACE = re.compile(r"\?(\d*)")


class PostgresCursor:
    """Takes `?` and `?1` for values, as SQLite does.

    Args:
        connection: of psycopg, in no transaction yet.
    """

    def __init__(self, connection: Connection[Any]) -> None:
        self._cursor = RawCursor(connection)

    @property
    def rowcount(self) -> int:
        """How many rows the last statement changed."""
        return self._cursor.rowcount

    @property
    def raw(self) -> RawCursor[Any]:
        """Psycopg's own, for COPY."""
        return self._cursor

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> PostgresCursor:
        """Run one statement; without values it may be several."""
        self._cursor.execute(numbered(sql), sendable(parameters) if parameters else None)
        return self

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> PostgresCursor:
        """Run one statement for each of many rows."""
        self._cursor.executemany(numbered(sql), map(sendable, parameters))
        return self

    def fetchone(self) -> Any:
        """The next row; None after the last."""
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        return self._cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        """The rows that are left, one by one."""
        return iter(self._cursor)


def begin_reading(connection: Connection[Any]) -> PostgresCursor:
    """A cursor whose first statement begins one snapshot for all of them."""
    connection.autocommit = True
    return PostgresCursor(connection).execute(_BEGIN_READING)


def begin_writing(connection: Connection[Any]) -> PostgresCursor:
    """A cursor with the right to write, which one has at a time."""
    connection.autocommit = True
    cursor = PostgresCursor(connection)
    _insist(connection, lambda: cursor.execute(_BEGIN_WRITING))
    return cursor


def as_reader(connection: Connection[Any]) -> None:
    """The next transaction is one snapshot and cannot write."""
    connection.autocommit = False
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True


def as_writer(connection: Connection[Any]) -> None:
    """Begin a transaction with the right to write, which reads what is committed, statement by statement."""
    connection.autocommit = False
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    connection.read_only = False
    _insist(connection, lambda: connection.execute(_LOCK_SCHEMA))


def _insist(connection: Connection[Any], lock: Callable[[], object]) -> None:
    """Take the lock; where it does not come in time, end a holder that stands still and wait once more."""
    try:
        lock()
    except LockNotAvailable:
        connection.execute("rollback")
        connection.execute(_END_WHO_STANDS_STILL)
        lock()


def sendable(values: Sequence[Any]) -> Sequence[Any]:
    """Values as the server takes them: its text cannot hold the letter of number 0, another that nobody writes stands for it."""
    if any(isinstance(value, str) and _ZERO in value for value in values):
        return [value.replace(_ZERO, _FOR_ZERO) if isinstance(value, str) else value for value in values]
    return values


@lru_cache(maxsize=512)
def numbered(sql: str) -> str:
    """A statement with PostgreSQL's places for values.

    >>> numbered("update t set a = ?, b = ? where c = ?")
    'update t set a = $1, b = $2 where c = $3'
    >>> numbered("select ?1 + ?1 + ?2")
    'select $1 + $1 + $2'
    """
    places = iter(range(1, 1_000))
    return _PLACE.sub(lambda found: f"${found[1] or next(places)}", sql)
