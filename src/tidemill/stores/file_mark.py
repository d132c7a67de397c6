"""Whether somebody has written to a file of SQLite, at the cost of some three microseconds where a reading takes 25."""

from __future__ import annotations

import sqlite3


class FileMark:
    """A number that each commit of others changes.

    Args:
        connection: of its own, in autocommit; nothing is written by it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()

    def now(self) -> int | None:
        """The number; None where the file cannot be read, which whoever reads it is told."""
        try:
            (number,) = self._cursor.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None
        return int(number)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
