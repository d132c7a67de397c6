"""Writing a database anew, so that the bytes of what was deleted are gone."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from psycopg import Connection, sql
from sqlalchemy import MetaData

from tidemill.errors import NotReadyError
from tidemill.stores.copy_progress import refuse_small_disk
from tidemill.stores.cursors import reading_cursor
from tidemill.stores.databases import Databases
from tidemill.stores.sqlite import BUSY_S

_AGAIN_S = 0.1
_TABLES = "select schemaname, tablename from pg_tables where schemaname = current_schema() order by tablename"


def wipe(databases: Databases, name: str) -> None:
    """Write a database anew without what was deleted from it. PostgreSQL's write-ahead log and archive keep old bytes for their own time.

    Raises:
        NotReadyError: somebody holds it open in the middle of a reading, the disk has no room for a copy, or the server does not answer.
    """
    if databases.url is None:
        _wipe_file(databases.path(name))
    else:
        _wipe_schema(databases, name)


def _wipe_schema(databases: Databases, name: str) -> None:
    engine = databases.open(name, MetaData())
    try:
        with reading_cursor(engine) as cursor:
            tables = cursor.execute(_TABLES).fetchall()
        with closing(engine.raw_connection()) as connection:
            driver: Connection[Any] = connection.driver_connection  # type: ignore[assignment]  # known to be psycopg's
            driver.read_only, driver.autocommit = False, True  # VACUUM runs in no transaction
            for schema, table in tables:
                driver.execute(sql.SQL("vacuum (full) {}").format(sql.Identifier(schema, table)))
    finally:
        engine.dispose()


def _wipe_file(path: Path) -> None:
    """And empty its write-ahead log."""
    refuse_small_disk(path, 2 * path.stat().st_size)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)) as connection:
        connection.execute(f"pragma busy_timeout = {BUSY_S * 1_000}")
        try:
            connection.execute("vacuum")
            emptied = _empty_log(connection)
        except sqlite3.OperationalError as error:
            raise NotReadyError(f"{path} could not be written anew: {error}; try again") from error
    if not emptied:
        raise NotReadyError(
            f"{path} is being read, so old bytes stay in its write-ahead log; try again, if need be with the server stopped"
        )


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Whether nobody reads it. SQLite waits for readers, but not for another process that copies from the log at this moment."""
    deadline = time.monotonic() + BUSY_S
    while connection.execute("pragma wal_checkpoint(truncate)").fetchone()[0]:
        if time.monotonic() > deadline:
            return False
        time.sleep(_AGAIN_S)
    return True
