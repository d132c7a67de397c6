"""The log in SQL: the embedded default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text, func, insert, select

from tidemill.errors import InputError
from tidemill.stores.sqlite import open_sqlite, reading, reading_cursor, writing_cursor
from tidemill.streams import Entry, Position, Record, Tally

_PARTITION = "0"  # one writer, one order: every stream has one partition, and all share one count of offsets

_TABLES = MetaData()
_EVENT = Table(
    "event",
    _TABLES,
    Column("log_offset", Integer, primary_key=True),
    Column("stream", String, nullable=False),
    Column("known_at_ms", Integer, nullable=False),
    Column("payload", Text, nullable=False),
    Index("event_by_stream", "stream", "log_offset"),
)
_RECEIVED = Table(
    "received",
    _TABLES,
    Column("stream", String, primary_key=True),
    Column("events", Integer, nullable=False),
)
_TAIL = Table(
    "tail",
    _TABLES,
    Column("id", Integer, primary_key=True),
    Column("log_offset", Integer, nullable=False),
    Column("known_at_ms", Integer, nullable=False),
)

# Run for every batch: plain SQL with bound parameters, as building it anew with Core costs more than running it.
_TAIL_NOW = "select log_offset, known_at_ms from tail"
_APPEND = "insert into event (log_offset, stream, known_at_ms, payload) values (?, ?, ?, ?)"
_COUNT = "update received set events = events + ? where stream = ?"
_READ = "select log_offset, stream, known_at_ms, payload from event where log_offset > ? order by log_offset limit ?"


class SqlLog:
    """A log in one SQLite file; see `tidemill.streams.Log` for what it promises.

    Offsets rise by one over all streams in append order, so they are ordered by time too.

    Args:
        path: the database file.
        streams: the project's streams.
        durable: whether an append that has returned survives a power cut, not only the end of every process; it costs an fsync.
            A replay, whose recording can be told again, does without.
    """

    def __init__(self, path: Path, streams: Sequence[str], *, durable: bool = True) -> None:
        self._engine = open_sqlite(path, _TABLES, durable=durable)
        self._reader = reading(self._engine)
        self._streams = tuple(streams)
        with self._engine.begin() as connection:
            if connection.exec_driver_sql(_TAIL_NOW).first() is None:
                connection.execute(insert(_TAIL).values(id=0, log_offset=0, known_at_ms=0))
            known = set(connection.execute(select(_RECEIVED.c.stream)).scalars())
            for name in set(self._streams) - known:
                connection.execute(insert(_RECEIVED).values(stream=name, events=0))

    def append(self, entries: Sequence[Entry], now_ms: int) -> Position:
        """See `Log`."""
        with writing_cursor(self._engine) as cursor:
            offset, last_ms = cursor.execute(_TAIL_NOW).fetchone()
            rows, counts = [], dict[str, int]()
            for entry in entries:
                if entry.known_at_ms is not None and entry.known_at_ms < last_ms:
                    what = f"known_at {entry.known_at_ms} lies before the log's last, {last_ms}"
                    raise InputError(what, where=f"stream {entry.stream!r}")
                last_ms = max(last_ms, now_ms) if entry.known_at_ms is None else entry.known_at_ms
                offset += 1
                rows.append((offset, entry.stream, last_ms, entry.payload))
                counts[entry.stream] = counts.get(entry.stream, 0) + 1
            if rows:
                cursor.executemany(_APPEND, rows)
                cursor.execute("update tail set log_offset = ?, known_at_ms = ?", (offset, last_ms))
                cursor.executemany(_COUNT, [(more, name) for name, more in counts.items()])
        return self._at(offset)

    def read(self, after: Position, limit: int) -> tuple[list[Record], Position]:
        """See `Log`."""
        with reading_cursor(self._engine) as cursor:
            rows = cursor.execute(_READ, (self._offset(after), limit)).fetchall()
        records = [Record(stream, _PARTITION, offset, known_at_ms, payload) for offset, stream, known_at_ms, payload in rows]
        return records, self._at(records[-1].offset) if records else after

    def end(self) -> Position:
        """See `Log`."""
        with reading_cursor(self._engine) as cursor:
            return self._at(cursor.execute(_TAIL_NOW).fetchone()[0])

    def tally(self, after: Position) -> Mapping[str, Tally]:
        """See `Log`."""
        waiting = select(_EVENT.c.stream, func.count()).where(_EVENT.c.log_offset > self._offset(after)).group_by(_EVENT.c.stream)
        with self._reader.connect() as connection:
            received = {name: events for name, events in connection.execute(select(_RECEIVED.c.stream, _RECEIVED.c.events))}
            pending = {name: events for name, events in connection.execute(waiting)}
        return {name: Tally(received.get(name, 0), pending.get(name, 0)) for name in self._streams}

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def _at(self, offset: int) -> Position:
        return Position({name: {_PARTITION: offset} for name in self._streams})

    def _offset(self, position: Position) -> int:
        return max((position.offset(name, _PARTITION) for name in self._streams), default=0)
