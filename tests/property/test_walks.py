"""A table walked through by its cursor, against a naive twin: whenever rows are committed within the look-back, each is met once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import Connection, NullPool, create_engine, text

from tidemill import Stream
from tidemill.events import Copied, Reader
from tidemill.sources import SqlTable

BEGIN = datetime(2026, 3, 1, 12)
CURSORS: dict[str, tuple[str, int, Callable[[int], str | int]]] = {
    "number, short": ("integer", 3, lambda number: number),
    "number, long": ("integer", 12, lambda number: number),
    "time": ("datetime", 3, lambda number: str(BEGIN + timedelta(seconds=number))),
}
_BEGINS = st.tuples(st.just("begin"), st.integers(0, 9))  # of row so-and-so: an insert, or an update when it is there
_COMMITS = st.tuples(st.just("commit"), st.integers(0, 2))  # of the so-manieth open transaction, from the newest on
_READS = st.tuples(st.just("read"), st.integers(1, 4))  # at most so many rows
_OTHERS = st.one_of(
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("lose"), st.integers(1, 4)),  # what was read, since the append failed
    st.tuples(st.just("delete"), st.integers(0, 9)),
)
STEPS = st.lists(st.one_of(_BEGINS, _BEGINS, _COMMITS, _READS, _READS, _OTHERS), min_size=20, max_size=60)


class Row(BaseModel):
    """A row of the table."""

    name: str
    at: datetime


class World:
    """A table, the transactions that are open, and what was copied.

    A transaction takes its cursor when it begins and shows when it commits, as in a database; the newest is never more than the look-back
    ahead of one that is open.
    """

    def __init__(self, url: str, connection: Connection, cursor: str) -> None:
        self._connection = connection
        kind, self._look_back, self._value = CURSORS[cursor]
        look_back = f"{self._look_back}s" if cursor == "time" else self._look_back
        connection.execute(text(f"create table rows (id integer primary key, cursor {kind} not null)"))
        self._source = SqlTable("rows", url=url, cursor="cursor", look_back=look_back, key=("id",), poll_every="1ms", id_field="name")
        self._stream = Stream("rows", schema=Row, event_time="at", event_id="name")
        self._checkpoint = ""
        self._reader: Reader | None = None
        self._newest = 0
        self.transactions: list[tuple[int, int]] = []  # cursor and row
        self.committed: list[str] = []
        self.unseen_gone: set[str] = set()
        self.copied: list[str] = []

    def begin(self, row: int) -> None:
        """A transaction takes the next cursor; those that have been open too long commit first."""
        while self.transactions and self.transactions[0][0] < self._newest + 1 - self._look_back:
            self.commit(len(self.transactions) - 1)
        if all(row != other for _, other in self.transactions):  # the other transaction holds the row's lock
            self._newest += 1
            self.transactions.append((self._newest, row))

    def commit(self, place: int) -> None:
        """One of the open transactions becomes visible."""
        if self.transactions:
            number, row = self.transactions.pop(-1 - place % len(self.transactions))
            self._forget(row)
            self._connection.execute(text("insert or replace into rows values (:id, :cursor)"), {"id": row, "cursor": self._value(number)})
            self.committed.append(f"{row}@{self._value(number)}")

    def delete(self, row: int) -> None:
        """A row goes."""
        self._forget(row)
        self._connection.execute(text("delete from rows where id = :id"), {"id": row})

    def read(self, limit: int) -> None:
        """Copy some rows."""
        reader = self._opened()
        arrived = reader.read(limit)
        if arrived is not None:
            self._checkpoint = arrived.checkpoint
            self.copied += [orjson.loads(payload)["name"] for payload in arrived.payloads]
            assert len(arrived.payloads) <= limit

    def lose(self, limit: int) -> None:
        """Read some rows, and end before the log has them."""
        self._opened().read(limit)
        self.restart(0)

    def restart(self, _: int) -> None:
        """Go on with what the log has."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _opened(self) -> Reader:
        if self._reader is None:
            self._reader = self._source.open(self._stream, Copied(self._checkpoint, lambda name: False))
        return self._reader

    def _forget(self, row: int) -> None:
        """What a row says now will be gone: a poll that has not seen it never will."""
        for cursor in self._connection.scalars(text("select cursor from rows where id = :id"), {"id": row}):
            if (version := f"{row}@{cursor}") not in self.copied:
                self.unseen_gone.add(version)


@contextmanager
def world(cursor: str) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/rows.db"
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("pragma synchronous = off"))
            made = World(url, connection, cursor)
            yield made
            made.restart(0)


def settle(made: World) -> None:
    """Commit what is open, and read until even a late row must have come."""
    for _ in range(len(made.transactions)):
        made.commit(0)
    for _ in range(25):
        made.read(50)


@pytest.mark.parametrize("cursor", ["number, long", "time"])
@settings(max_examples=30)
@given(steps=STEPS)
def test_every_row_that_can_be_seen_is_copied_once(cursor: str, steps: list[tuple[str, int]]) -> None:
    with world(cursor) as made:
        for step, argument in steps:
            getattr(made, step)(argument)
        settle(made)
        assert len(made.copied) == len(set(made.copied)), "twice"
        assert set(made.copied) == set(made.committed) - made.unseen_gone


def test_a_late_row_is_found_although_walks_have_passed_far_beyond_it_since() -> None:
    with world("number, long") as made:
        for row in range(6):
            made.begin(row)
        for _ in range(5):
            made.commit(0)
        made.read(50)
        made.commit(0)  # row 0, late by five numbers; walks that look back a little do not see it
        for row in range(6, 30):
            made.begin(row)
            made.commit(0)
            if row < 14:
                made.read(50)
        settle(made)
        assert sorted(made.copied) == sorted(made.committed)


def test_nothing_comes_again_when_the_newest_rows_are_deleted() -> None:
    with world("number, short") as made:
        for row in range(20):
            made.begin(row)
            made.commit(0)
            made.read(50)
        for row in range(8, 20):
            made.delete(row)
        settle(made)
        assert sorted(made.copied) == sorted(made.committed)
