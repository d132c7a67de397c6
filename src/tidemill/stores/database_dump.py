"""The databases of a home that lie in PostgreSQL: dumped as they are at one moment by its own `pg_dump`, put back by `pg_restore`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

import psycopg
from psycopg.rows import TupleRow
from sqlalchemy import URL, make_url

from tidemill.errors import ConflictError, NotReadyError
from tidemill.stores.databases import NAMES
from tidemill.stores.postgres import schema_exists

DUMP = "tidemill.dump"
_POSITION = b"select token, known_at_ms, lake_token from state.position"
_LOG_END = b"select log_offset from log.tail"
_HAS_LOG = b"select to_regclass('log.tail') is not null"
_SIZE = b"select sum(pg_total_relation_size(oid))::int8 from pg_class where relkind = 'r' and relnamespace::regnamespace::text = any(%s)"
_SAID = 2_000
_KEY_PASSWORD = "sslpassword"
_SERVICE = "tidemill"


class DatabaseSnapshot:
    """A database as it is at one moment, to be read and dumped while others write to it; nobody waits for it.

    Args:
        url: of the database.

    Raises:
        NotReadyError: the server does not answer, or has not the state of a home.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = _connected(url)
        try:
            self._connection.execute("set idle_in_transaction_session_timeout = 0")  # it stands still while pg_dump works
            self._connection.execute("begin isolation level repeatable read read only")
            (self._name,) = self._row(b"select pg_export_snapshot()")
        except BaseException:
            self._connection.close()
            raise

    @property
    def n_bytes(self) -> int:
        """What it takes there; a dump is smaller."""
        return int(self._row(_SIZE, (list(NAMES),))[0])

    @property
    def position(self) -> tuple[str, int, str]:
        """The state's position and its time, and how far the lake had come."""
        token, known_at_ms, lake_token = self._row(_POSITION)
        return str(token), int(known_at_ms), str(lake_token)

    @property
    def log_end(self) -> int | None:
        """The log's last offset; None where the log is in Kafka."""
        return int(self._row(_LOG_END)[0]) if self._row(_HAS_LOG)[0] else None

    def dump(self, target: Path) -> None:
        """Write it to a new file, which is on the disk on return.

        Raises:
            NotReadyError: pg_dump is not there, or says why it could not.
        """
        how = ["--format=custom", "--no-owner", "--no-privileges", "--no-unlogged-table-data", f"--snapshot={self._name}"]
        _run(self._url, ["pg_dump", *how, f"--file={target}", *(f"--schema={schema}" for schema in NAMES)])

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()

    def _row(self, query: bytes, values: Sequence[object] = ()) -> TupleRow:
        row = self._connection.execute(query, values).fetchone()
        assert row is not None
        return row


def refuse_held(url: str) -> None:
    """Refuse a database that holds a home already.

    Raises:
        ConflictError: it does.
        UnavailableError: the server does not answer.
    """
    held = [schema for schema in NAMES if schema_exists(url, schema)]
    if held:
        raise ConflictError(f"the database holds the schema {held[0]!r} already; nothing is overwritten, so name an empty one (createdb)")


def load(url: str, dump: Path) -> None:
    """Fill an empty database from a dump, all or nothing.

    Raises:
        NotReadyError: pg_restore is not there, or says why it could not.
    """
    _run(url, ["pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"], [str(dump)])


def _run(url: str, line: Sequence[str], last: Sequence[str] = ()) -> None:
    """Run one of PostgreSQL's programs; neither password is among its arguments, which everybody can read."""
    if shutil.which(line[0]) is None:
        raise NotReadyError(f"there is no {line[0]}; install the client programs of PostgreSQL (Debian's package postgresql-client)")
    made = make_url(url)
    password = _given(made, "password") or made.password
    bare = URL.create("postgresql", made.username, None, made.host, made.port, made.database, made.query)  # `set` keeps what is None
    bare = bare.difference_update_query(["password", _KEY_PASSWORD])
    environ = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    with NamedTemporaryFile("w", prefix="tidemill-", encoding="utf-8") as service:  # its owner's alone
        if key_password := _given(made, _KEY_PASSWORD):  # for which there is no variable
            service.write(f"[{_SERVICE}]\n{_KEY_PASSWORD}={key_password}\n")
            service.flush()
            environ["PGSERVICEFILE"] = service.name
            bare = bare.update_query_dict({"service": _SERVICE})
        address = bare.render_as_string(hide_password=False)
        done = subprocess.run([*line, f"--dbname={address}", *last], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise NotReadyError(f"{line[0]} has failed, and nothing is left of it: {done.stderr[-_SAID:].strip()}")


def _given(url: URL, name: str) -> str | None:
    """An option of a URL; of one that is given several times the last, as the driver has it."""
    return next(reversed(url.normalized_query.get(name, ())), None)


def _connected(url: str) -> psycopg.Connection[TupleRow]:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return psycopg.connect(address, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise NotReadyError(f"the database does not answer: {error}") from error
