"""The log in SQL: the embedded default, and one of those of the server profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from sqlalchemy import Column, LargeBinary, MetaData, String, Table

from tidemill.errors import InputError
from tidemill.events import FORGOTTEN, Copied, Source
from tidemill.stores.column_types import AsSent, Whole, Word
from tidemill.stores.cursors import Cursor, reading_cursor, writing_cursor
from tidemill.stores.databases import Databases
from tidemill.stores.insert_new import begin_with
from tidemill.stores.schema_version import STEPS
from tidemill.stores.source_books import SourceBooks, add_source_tables, advance_source
from tidemill.streams import Advance, Entry, Position, Records, Tally

_PARTITION = "0"  # one writer, one order: every stream has one partition, and all share one count of offsets
_MOST, _MOST_LETTERS = 1_000, 1_000_000  # events and letters in a row


def _trace_of_a_run(cursor: Cursor) -> None:
    """Version 2: who brought events is known by its trace."""
    cursor.execute("alter table run add column trace VARCHAR")


_TABLES = MetaData(info={STEPS: (_trace_of_a_run,)})
_RUN = Table(  # neighbouring events of one stream, appended together: a row costs as much for one as for many
    "run",
    _TABLES,
    Column("first_offset", Whole, primary_key=True, autoincrement=False),
    Column("n", Whole, nullable=False),
    Column("stream", Word, nullable=False),
    Column("known_at_ms", LargeBinary, nullable=False),  # n int64
    Column("lengths", LargeBinary, nullable=False),  # n int64, letters of each payload
    Column("payloads", AsSent, nullable=False),
    Column("trace", String),  # of who brought them, where it is kept
)
_RECEIVED = Table(
    "received",
    _TABLES,
    Column("stream", Word, primary_key=True),
    Column("events", Whole, nullable=False),
)
_TAIL = Table(
    "tail",
    _TABLES,
    Column("id", Whole, primary_key=True, autoincrement=False),
    Column("log_offset", Whole, nullable=False),
    Column("known_at_ms", Whole, nullable=False),
)
add_source_tables(_TABLES)

# Run for every batch: plain SQL with bound parameters, as building it anew with Core costs more than running it.
_TAIL_NOW = "select log_offset, known_at_ms from tail"
_APPEND = "insert into run (first_offset, n, stream, known_at_ms, lengths, payloads, trace) values (?, ?, ?, ?, ?, ?, ?)"
_COUNT = "update received set events = events + ? where stream = ?"
_FROM = "first_offset >= (select coalesce(max(first_offset), 0) from run where first_offset <= ?1)"  # the row that holds an offset, and on
_UP_TO = "first_offset <= ?2"  # a row holds one event at least
_READ = f"select first_offset, n, stream, known_at_ms, lengths, payloads, trace from run where {_FROM} and {_UP_TO} order by first_offset"
_HOLDING = "select first_offset, n, lengths, payloads from run where first_offset <= ? order by first_offset desc limit 1"
_REWRITE = "update run set lengths = ?, payloads = ? where first_offset = ?"
_TAKEN = "case when first_offset > ?1 then 0 when first_offset + n - 1 <= ?1 then n else ?1 - first_offset + 1 end"  # of a row's events
_PENDING = f"select stream, sum(n - {_TAKEN}) from run where {_FROM} group by stream"


class SqlLog:
    """A log in one database; see `tidemill.streams.Log` for what it promises.

    Offsets rise by one over all streams in append order, so they are ordered by time too.

    Args:
        databases: of the home; the log is the one of that name.
        streams: the project's streams.
        durable: whether an append that has returned survives a power cut, not only the end of every process; it costs an fsync.
            A replay, whose recording can be told again, does without.
    """

    def __init__(self, databases: Databases, streams: Sequence[str], *, durable: bool = True) -> None:
        self._engine = databases.open("log", _TABLES, durable=durable)
        self._mark = databases.open_mark("log")
        self._kept: Callable[[str], str | bytes] = str.encode if self._engine.dialect.name == "postgresql" else str
        self.sources = SourceBooks(self._engine)
        self._streams = tuple(streams)
        begin_with(self._engine, _TAIL, [{"id": 0, "log_offset": 0, "known_at_ms": 0}])
        begin_with(self._engine, _RECEIVED, [{"stream": name, "events": 0} for name in self._streams])

    def append(self, entries: Sequence[Entry], now_ms: int, advance: Advance | None = None) -> Position:
        """See `Log`."""
        with writing_cursor(self._engine) as cursor:
            if advance is not None:
                advance_source(cursor, advance, len(entries), now_ms)
            offset, last_ms = cursor.execute(_TAIL_NOW).fetchone()
            counts = dict[str, int]()
            for some in _pieces(entries):
                known_at_ms = _known_at(some, now_ms, last_ms)
                payloads = [entry.payload for entry in some]
                lengths = np.fromiter(map(len, payloads), dtype=np.int64, count=len(some))
                stream, last_ms = some[0].stream, known_at_ms[-1]
                packed = np.array(known_at_ms, dtype=np.int64).tobytes()
                kept = self._kept("".join(payloads))
                cursor.execute(_APPEND, (offset + 1, len(some), stream, packed, lengths.tobytes(), kept, some[0].trace))
                offset += len(some)
                counts[stream] = counts.get(stream, 0) + len(some)
            if counts:
                cursor.execute("update tail set log_offset = ?, known_at_ms = ?", (offset, last_ms))
                cursor.executemany(_COUNT, [(more, name) for name, more in counts.items()])
        return self._at(offset)

    def read(self, after: Position, limit: int, until: Position | None = None) -> tuple[Records, Position]:
        """See `Log`."""
        first = self._offset(after) + 1
        most = limit if until is None else min(limit, self._offset(until) - first + 1)  # offsets rise by one
        with reading_cursor(self._engine) as cursor:
            records = _gather(cursor, first, most)
        return records, self._at(records.offsets[-1]) if len(records) else after

    def mark(self) -> int | None:
        """See `Log`."""
        return None if self._mark is None else self._mark.now()

    def end(self) -> Position:
        """See `Log`."""
        with reading_cursor(self._engine) as cursor:
            return self._at(cursor.execute(_TAIL_NOW).fetchone()[0])

    def behind(self, after: Position) -> int:
        """See `Log`."""
        with reading_cursor(self._engine) as cursor:
            return max(0, int(cursor.execute(_TAIL_NOW).fetchone()[0]) - self._offset(after))

    def identity(self) -> Mapping[str, str]:
        """See `Log`; it has none."""
        return {}

    def holds(self, source: Source) -> bool:
        """See `Log`; it has no source of its own."""
        return False

    def copied(self, stream: str) -> Copied:
        """See `Log`."""
        return self.sources.copied(stream)

    def follow(self, position: Position) -> None:
        """See `Log`; everybody sees the state's position."""

    def tally(self, after: Position) -> Mapping[str, Tally]:
        """See `Log`."""
        offset = self._offset(after)
        with reading_cursor(self._engine) as cursor:
            received = dict(cursor.execute("select stream, events from received").fetchall())
            pending = dict(cursor.execute(_PENDING, (offset,)).fetchall())
        return {name: Tally(received.get(name, 0), int(pending.get(name, 0))) for name in self._streams}

    def forget(self, offsets: Sequence[int]) -> None:
        """Put a mark that says nothing in place of these events, all or nothing; offsets, times and counts stay as they are.

        Old bytes may stay in free room of the database until it is vacuumed.
        """
        wanted = set(offsets)
        with writing_cursor(self._engine) as cursor:
            while wanted:
                first, n_rows, lengths, texts = cursor.execute(_HOLDING, (max(wanted),)).fetchone()
                payloads = _cut(lengths, texts, range(n_rows))
                payloads = [FORGOTTEN if first + place in wanted else payload for place, payload in enumerate(payloads)]
                packed = np.fromiter(map(len, payloads), dtype=np.int64, count=n_rows).tobytes()
                cursor.execute(_REWRITE, (packed, self._kept("".join(payloads)), first))
                wanted.difference_update(range(first, first + n_rows))

    def close(self) -> None:
        """Let go of the database."""
        if self._mark is not None:
            self._mark.close()
        self._engine.dispose()

    def _at(self, offset: int) -> Position:
        return Position({name: {_PARTITION: offset} for name in self._streams})

    def _offset(self, position: Position) -> int:
        return max((position.offset(name, _PARTITION) for name in self._streams), default=0)


def _pieces(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Neighbours of one stream that one brought, so many as fit in a row."""
    for _, some in groupby(entries, key=lambda entry: (entry.stream, entry.trace)):
        piece: list[Entry] = []
        letters = 0
        for entry in some:
            if len(piece) == _MOST or (piece and letters + len(entry.payload) > _MOST_LETTERS):
                yield piece
                piece, letters = [], 0
            piece.append(entry)
            letters += len(entry.payload)
        yield piece


def _known_at(entries: Sequence[Entry], now_ms: int, last_ms: int) -> list[int]:
    """When each becomes known: now, or when a replay says; never before `last_ms`."""
    times = []
    for entry in entries:
        if entry.known_at_ms is not None and entry.known_at_ms < last_ms:
            raise InputError(f"known_at {entry.known_at_ms} lies before the log's last, {last_ms}", where=f"stream {entry.stream!r}")
        last_ms = max(last_ms, now_ms) if entry.known_at_ms is None else entry.known_at_ms
        times.append(last_ms)
    return times


def _cut(lengths: bytes, kept: str | bytes, which: range) -> list[str]:
    """Some of the payloads of a row."""
    texts = kept.decode() if isinstance(kept, bytes) else kept
    ends = np.cumsum(np.frombuffer(lengths, dtype=np.int64)).tolist()
    starts = [0, *ends]
    return [texts[starts[place] : ends[place]] for place in which]


def _gather(cursor: Cursor, first: int, limit: int) -> Records:
    """At most `limit` records from an offset on; a client of PostgreSQL gets all rows at once, so only those are asked for."""
    streams: list[str] = []
    offsets: list[int] = []
    known_at_ms: list[int] = []
    payloads: list[str] = []
    traces: dict[str, None] = {}
    for begin, n_rows, stream, times, lengths, texts, trace in cursor.execute(_READ, (first, first + limit - 1)):
        skip = max(0, first - begin)
        take = min(n_rows - skip, limit - len(offsets))
        if take > 0:
            payloads += _cut(lengths, texts, range(skip, skip + take))
            offsets += range(begin + skip, begin + skip + take)
            known_at_ms += np.frombuffer(times, dtype=np.int64)[skip : skip + take].tolist()
            streams += [stream] * take
            if trace is not None:
                traces[trace] = None
        if len(offsets) >= limit:
            break
    if not offsets:
        return Records.of([])
    return Records(streams, [_PARTITION] * len(offsets), offsets, known_at_ms, payloads, list(traces))
