"""One way to open PostgreSQL: a schema for what SQLite keeps in a file, one writer at a time, and a snapshot for who reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection
from sqlalchemy import URL, Engine, MetaData, NullPool, create_engine, event, make_url, text
from sqlalchemy import Connection as SqlConnection

from tidemill.errors import SettingsError
from tidemill.stores.cursors import reading
from tidemill.stores.postgres_cursor import as_reader, as_writer, sendable
from tidemill.stores.postgres_errors import GONE, PlainPool, notice_restarts, tell_plainly, unavailable
from tidemill.stores.schema_version import VERSION_TABLE, make_missing, refuse_other_columns, upgrade

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# Whoever stands still in the middle of a transaction (SIGSTOP, a debugger) loses it, and with it the right to write; the others wait
# longer than that for theirs, and twice. A slow machine is no error.
_STANDS_STILL, _WAIT = "60s", "70s"
# A machine that has gone from the network is noticed within half a minute, by either end: else ours waits for a quarter of an hour, and
# the server keeps the right to write for two hours for somebody who is no longer there.
_IDLE_S, _EVERY_S, _TIMES, _UNANSWERED_MS = 10, 5, 4, 30_000
_CLIENT_NOTICES = {
    "connect_timeout": 10,
    "keepalives_idle": _IDLE_S,
    "keepalives_interval": _EVERY_S,
    "keepalives_count": _TIMES,
    "tcp_user_timeout": _UNANSWERED_MS,
}
_SERVER_NOTICES = (
    f"-c tcp_keepalives_idle={_IDLE_S} -c tcp_keepalives_interval={_EVERY_S} -c tcp_keepalives_count={_TIMES} "
    f"-c tcp_user_timeout={_UNANSWERED_MS}"
)
_POOL_WAIT_S = 10  # for a connection, where all are in use
_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:schema, 0))")
_ELSEWHERE = "start anew in another database"


def open_postgres(url: str, schema: str, tables: MetaData, *, durable: bool = False) -> Engine:
    """An engine on a schema of a PostgreSQL database, with schema and `tables` created when missing.

    A commit survives the end of every process of ours. With `durable` it also survives the end of the server and of its machine;
    without, a server that ends without having been shut down may lose the commits of its last half second, whole ones, but none that a
    later durable one came after.

    Use `engine.begin()` to write (it takes the schema's lock at once, so two writers queue instead of failing) and
    `reading(engine).connect()` to read (one snapshot until the connection is closed).

    Args:
        url: of the database, `postgresql://user@host/name`.
        schema: lower case letters, digits and underscores.
        tables: what it holds.
        durable: whether a commit waits for the server's disk.

    Raises:
        SettingsError: the URL is not one of PostgreSQL.
        UnavailableError: the server does not answer.
        ConflictError: the schema was made by another version of tidemill, with other columns.
    """
    _check_name(schema)
    waits = "on" if durable else "off"
    patience = f"-c lock_timeout={_WAIT} -c idle_in_transaction_session_timeout={_STANDS_STILL} {_SERVER_NOTICES}"
    options = f"-c search_path={schema} -c synchronous_commit={waits} -c timezone=UTC {patience}"
    engine = create_engine(
        _with_driver(url), connect_args={"options": options, **_CLIENT_NOTICES}, poolclass=PlainPool, pool_timeout=_POOL_WAIT_S
    )
    tell_plainly(engine)
    notice_restarts(engine)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        driver: Connection[Any] = connection.connection.driver_connection
        if connection.get_execution_options().get("reading", False):
            as_reader(driver)
        else:
            try:
                as_writer(driver)
            except GONE as error:  # the driver's own, which SQLAlchemy does not see
                raise unavailable(engine.url, error) from error

    where = f"the schema {schema!r} of the database"

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _on_execute(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> tuple[str, Any]:
        return statement, [_by_name(row) for row in values] if many else _by_name(values)

    try:
        _make_schema(engine, schema)
        upgrade(engine, tables, where, _ELSEWHERE)
        make_missing(engine, tables)
        refuse_other_columns(engine, tables, where, _ELSEWHERE)
    except BaseException:
        engine.dispose()
        raise
    return engine


def schema_exists(url: str, schema: str) -> bool:
    """Whether a database has a schema.

    Raises:
        UnavailableError: the server does not answer.
    """
    with _alone(url) as connection:
        found = connection.execute(text("select count(*) from pg_namespace where nspname = :schema"), {"schema": schema})
        return bool(found.scalar_one())


def drop_schemas(url: str, schemas: Iterable[str]) -> None:
    """Remove schemas with all that they hold, all of them or none; one that is not there is no error.

    Raises:
        UnavailableError: the server does not answer, or somebody is at work in one.
    """
    with _alone(url) as connection:
        connection.execute(text(f"set lock_timeout = '{_WAIT}'"))
        for schema in schemas:
            _check_name(schema)
            connection.execute(text(f"drop schema if exists {schema} cascade"))


@contextmanager
def _alone(url: str) -> Iterator[SqlConnection]:
    """A connection of its own, and one transaction."""
    engine = create_engine(_with_driver(url), connect_args=_CLIENT_NOTICES, poolclass=NullPool)
    tell_plainly(engine)
    with engine.begin() as connection:
        yield connection


def _make_schema(engine: Engine, schema: str) -> None:
    """Make the schema, unless it is there."""
    with reading(engine).connect() as connection:
        if connection.scalar(text("select to_regclass('schema_version')")) is not None:
            return
    with engine.begin() as connection:
        connection.execute(_LOCK, {"schema": schema})  # the lock by its name, as there may be no schema yet to take it by
        connection.execute(text(f"create schema if not exists {schema}"))
        connection.execute(text(VERSION_TABLE))


def _by_name(values: Any) -> Any:
    """Values of a statement of Core as the server takes them; an empty sequence where it has none."""
    return dict(zip(values, sendable(list(values.values())), strict=True)) if values else values


def _check_name(schema: str) -> None:
    if not _NAME.fullmatch(schema):
        raise ValueError(f"{schema!r} cannot be the name of a schema: lower case letters, digits and underscores, 63 at most")


def _with_driver(url: str) -> URL:
    try:
        made = make_url(url)
    except Exception as error:  # it may hold a password, so it is not repeated
        raise SettingsError("the URL of the database cannot be read; write postgresql://user:password@host:5432/name") from error
    if made.get_backend_name() != "postgresql":
        raise SettingsError(f"a database of {made.get_backend_name()!r}; the server profile needs PostgreSQL: postgresql://user@host/name")
    if "@" in (made.host or ""):  # the rest of a password, which would be told as the name of the host
        raise SettingsError("the password in the URL of the database holds an @; write %40 in its place")
    return made.set(drivername="postgresql+psycopg")
