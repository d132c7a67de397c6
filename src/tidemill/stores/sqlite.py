"""One way to open SQLite: WAL, durable commits, one writer at a time, and BEGIN IMMEDIATE for a transaction that will write."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event

from tidemill.stores.schema_version import make_missing, refuse_other_columns, upgrade
from tidemill.stores.sqlite_errors import naming_file, tell_of_file

BUSY_S = 60  # for another's write lock; a slow machine is no error
_PRAGMAS = (
    "journal_mode=WAL",
    f"busy_timeout={BUSY_S * 1_000}",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "cache_size=-65536",
    "wal_autocheckpoint=20000",
)
_ELSEWHERE = "start anew in another TIDEMILL_HOME"


def open_sqlite(path: Path, tables: MetaData, *, durable: bool = False) -> Engine:
    """An engine on the database at `path`, with `tables` created when missing.

    A commit survives kill -9 of every process. With `durable` it also survives a power cut (`synchronous=FULL`, an fsync a commit):
    the log needs that, being the truth. Without, a power cut may lose the last commits but never tears one.

    Use `engine.begin()` to write (it takes the write lock at once, so two writers queue instead of failing) and
    `reading(engine).connect()` to read (one snapshot until the connection is closed).

    A file knows the version of its schema, see `tidemill.stores.schema_version`; an older one is brought up to date.

    Raises:
        UnavailableError: from every statement, when the disk is full, or another has been writing for longer than a minute.
        ConflictError: the file was made by a later version of tidemill, or by one with other columns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": BUSY_S})

    tell_of_file(engine)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        _settle(connection, durable=durable)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        reading = connection.get_execution_options().get("reading", False)
        with naming_file(path):  # SQLAlchemy does not see an error of the driver's own
            connection.connection.dbapi_connection.execute("BEGIN" if reading else "BEGIN IMMEDIATE")

    upgrade(engine, tables, str(path), _ELSEWHERE)
    make_missing(engine, tables)
    refuse_other_columns(engine, tables, str(path), _ELSEWHERE)
    return engine


def connect_sqlite(path: Path, *, busy_s: float) -> sqlite3.Connection:
    """A connection of its own, in autocommit, to a database that `open_sqlite` has opened; it waits so long for another's write lock.

    Raises:
        UnavailableError: the file cannot be used just now.
    """
    with naming_file(path):
        connection = sqlite3.connect(path, check_same_thread=False)
        _settle(connection, durable=False)
        connection.execute(f"PRAGMA busy_timeout={int(busy_s * 1_000)}")
    return connection


def _settle(connection: sqlite3.Connection, *, durable: bool) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in (*_PRAGMAS, f"synchronous={'FULL' if durable else 'NORMAL'}"):
        connection.execute(f"PRAGMA {pragma}")
