"""Feeds of the sources that are databases, and copies of them without a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel
from sqlalchemy import Boolean, Column, DateTime, Engine, Float, Integer, MetaData, NullPool, Table, Text, create_engine, insert, text

from tests.feeds import Tap
from tidemill import Stream
from tidemill.events import Copied, Source
from tidemill.sources import SqlOutbox, SqlTable

NOW = {"sqlite": "(strftime('%Y-%m-%d %H:%M:%f', 'now'))", "postgresql": "now()"}


class TableFeed:
    """A row for each event, with the time of its change.

    Args:
        url: of an empty database.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, poolclass=NullPool)
        self._table = Table(
            "taps",
            MetaData(),
            Column("tap_id", Text, primary_key=True),
            Column("at", DateTime(timezone=True), nullable=False),
            Column("gate", Text),
            Column("fare", Float),
            Column("zones", Integer, nullable=False),
            Column("is_child", Boolean, nullable=False),
            Column("changed_at", DateTime(timezone=True), server_default=text(NOW[self._engine.dialect.name]), nullable=False, index=True),
        )
        self._table.create(self._engine)
        self.source = SqlTable("taps", url=url, cursor="changed_at", look_back="5min", poll_every="10ms")

    def put(self, events: Sequence[Tap]) -> None:
        """Insert them."""
        with self._engine.begin() as connection:
            connection.execute(insert(self._table), [event.model_dump() for event in events])


class OutboxFeed:
    """A row of an outbox for each event.

    Args:
        url: of an empty database.
        mark: whether rows are marked, or else deleted.
    """

    def __init__(self, url: str, *, mark: bool = False) -> None:
        self._engine = create_engine(url, poolclass=NullPool)
        self._table = Table(
            "outbox",
            MetaData(),
            Column("id", Integer, primary_key=True),
            Column("payload", Text, nullable=False),
            Column("copied_at", DateTime(timezone=True)),
        )
        self._table.create(self._engine)
        self.source = SqlOutbox("outbox", url=url, mark="copied_at" if mark else None, poll_every="10ms")

    def put(self, events: Sequence[Tap]) -> None:
        """Insert them."""
        with self._engine.begin() as connection:
            connection.execute(insert(self._table), [{"payload": event.model_dump_json()} for event in events])


class Order(BaseModel):
    """A row."""

    event_id: str
    at: datetime


STREAM = Stream("orders", schema=Order, event_time="at", event_id="event_id")


class Copy:
    """What a log would hold of a source; it can end and begin anew at every moment."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.checkpoint = ""
        self.reader = source.open(STREAM, Copied("", lambda name: False))
        self.rows: list[dict[str, Any]] = []

    def restart(self) -> None:
        """Go on from what the log has."""
        self.reader.close()
        self.reader = self._source.open(STREAM, Copied(self.checkpoint, lambda name: False))

    def read(self, limit: int = 1_000) -> int:
        """Read once; how many rows came."""
        arrived = self.reader.read(limit)
        if arrived is None:
            return 0
        self.checkpoint = arrived.checkpoint
        self.rows += map(orjson.loads, arrived.payloads)
        return len(arrived.payloads)

    def settle(self, limit: int = 1_000) -> list[dict[str, Any]]:
        """Read until nothing came for so long that a late row would have come."""
        silent = 0
        while silent < 12:
            silent = 0 if self.read(limit) else silent + 1
        return self.rows

    def ids(self) -> list[int]:
        """The ids of all rows, as they came."""
        return [row["id"] for row in self.settle()]


def run(engine: Engine, *statements: str) -> None:
    """Run statements in one transaction."""
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@contextmanager
def copy_of(source: Source) -> Iterator[Copy]:
    """A copy that is closed in the end."""
    copy = Copy(source)
    try:
        yield copy
    finally:
        copy.reader.close()
