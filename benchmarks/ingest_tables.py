"""Ends of `bench_ingest` that are databases: a table read on by its cursor, and an outbox, in SQLite and in PostgreSQL.

In PostgreSQL the cursor is the id of the writing transaction, so nothing is looked back for; in SQLite, where writers take turns, a number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psycopg

from benchmarks.ingest_ends import FULL, Pace
from tests.databases import PostgresServer, new_database
from tidemill.events import Source
from tidemill.sources import SqlOutbox, SqlTable

_COLUMNS = ("payment_id", "paid_at", "card", "device", "merchant", "amount")
_FIELDS = "payment_id text not null, paid_at bigint not null, card text, device text, merchant text, amount double precision"
_MAKE = {
    ("sqlite", "payments"): [f"create table payments (number integer primary key autoincrement, {_FIELDS})"],
    ("sqlite", "outbox"): ["create table outbox (id integer primary key autoincrement, payload text not null)"],
    ("postgresql", "payments"): [
        f"create table payments ({_FIELDS}, xid xid8 not null default pg_current_xact_id(), primary key (payment_id))",
        "create index by_xid on payments (xid, payment_id)",
    ],
    ("postgresql", "outbox"): ["create table outbox (id bigserial primary key, payload text not null)"],
}
_POLL_EVERY = "100ms"
_FETCHED = 5_000


@dataclass
class Rows:
    """A table of a database: `payments`, a column for each field, or `outbox`, a text for each event; a transaction with every `put`."""

    url: str
    table: str
    pace: Pace = FULL
    _link: Any = field(default=None, repr=False)

    @property
    def kind(self) -> str:
        """Of the database."""
        return self.url.partition(":")[0]

    @property
    def source(self) -> Source:
        """What copies it."""
        if self.table == "outbox":
            return SqlOutbox("outbox", url=self.url, poll_every=_POLL_EVERY)
        if self.kind == "sqlite":
            return SqlTable("payments", url=self.url, cursor="number", look_back=1_000, poll_every=_POLL_EVERY)
        return SqlTable("payments", url=self.url, cursor="xid", look_back=None, poll_every=_POLL_EVERY)

    def make(self) -> None:
        """Make it in an empty database."""
        link = self._open()
        for statement in _MAKE[self.kind, self.table]:
            link.execute(statement)
        link.commit()

    def put(self, texts: Sequence[str]) -> None:
        """Insert them in one transaction."""
        link = self._open()
        columns = ("payload",) if self.table == "outbox" else _COLUMNS
        rows = [(text,) for text in texts] if self.table == "outbox" else [_fields(orjson.loads(text)) for text in texts]
        places = ", ".join(["?" if self.kind == "sqlite" else "%s"] * len(columns))
        link.cursor().executemany(f"insert into {self.table} ({', '.join(columns)}) values ({places})", rows)
        link.commit()

    def close(self) -> None:
        """See `End`."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def read_alone(self) -> int:
        """Fetch every row and do nothing with it; of an outbox none is taken out. Answers how many."""
        cursor = self._open().cursor()
        cursor.execute(f"select * from {self.table}")
        n_rows = 0
        while some := cursor.fetchmany(_FETCHED):
            n_rows += len(some)
        self._open().commit()
        return n_rows

    def _open(self) -> Any:
        if self._link is None and self.kind == "sqlite":
            self._link = sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=30.0, check_same_thread=False)
            self._link.execute("pragma journal_mode = wal")
        if self._link is None:
            self._link = psycopg.connect(self.url)
        return self._link


@contextmanager
def in_sqlite(folder: Path, table: str) -> Iterator[Rows]:
    """One in a file of the folder."""
    yield _made(Rows(f"sqlite:///{folder}/shop.db", table))


@contextmanager
def in_postgres(folder: Path, table: str) -> Iterator[Rows]:
    """One in a server of its own, which waits for the disk as servers do."""
    place = folder / "server"
    place.mkdir()
    folder.chmod(0o755)  # the server's user must come through
    server = PostgresServer(place, ())
    try:
        yield _made(Rows(new_database(server.url), table))
    finally:
        server.stop()


def _fields(event: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(event[name] for name in _COLUMNS)


def _made(rows: Rows) -> Rows:
    rows.make()
    return rows
