"""Writing to a file of SQLite at once or not at all, for who must not wait: an event loop.

One connection is held for it, and few calls are made: a pool's ways and those of context managers take longer than a row or two.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import TypeVar

from tidemill.stores.cursors import Cursor
from tidemill.stores.sqlite_errors import unusable

T = TypeVar("T")


class AtOnce:
    """A connection that waits for nobody.

    Args:
        connection: of its own, in autocommit, which fails at once where another writes.
        path: of the file, for messages.
    """

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._connection = connection
        self._path = path
        self._cursor = connection.cursor()
        self._free = threading.Lock()

    def write(self, write: Callable[[Cursor], T]) -> T | None:
        """What `write` answers, in a transaction that has been committed; None, and nothing is written, where somebody else writes.

        Raises:
            UnavailableError: the disk is full, or the file cannot be written; nothing of it is.
            sqlite3.Error: something is wrong with what is written.
        """
        if not self._free.acquire(blocking=False):
            return None
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
            told = write(self._cursor)
            self._cursor.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:  # of whatever kind
                return None
            if isinstance(error, sqlite3.Error) and (away := unusable(self._path, error)) is not None:
                raise away from error
            raise
        else:
            return told
        finally:
            self._free.release()

    def close(self) -> None:
        """Let go of the file."""
        with self._free:
            self._connection.close()
