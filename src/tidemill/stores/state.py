"""The state of the engine in SQL: position, ids, books, dead letters, outcomes and tiles, always changed in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from tidemill.errors import ConflictError
from tidemill.features import Label, View
from tidemill.stores.sqlite import Cursor, open_sqlite, reading, reading_cursor, writing_cursor
from tidemill.stores.state_tables import BOOK, DEAD_LETTER, OUTCOME, POSITION, STATE_TABLES
from tidemill.stores.tile_store import TileStore
from tidemill.streams import Books, Commit, Log, Position

_EXPIRE_EVERY_MS = 6 * 3_600_000  # a scan of the tiles, so not too often
# Run for every batch: plain SQL with bound parameters, as building it anew with Core costs more than running it.
_POSITION = "select token, known_at_ms from position"
_ADVANCE = "update position set token = ?, known_at_ms = ? where token = ? returning expired_at_ms"
_READ_ID = "select until_ms from seen where stream = ? and event_id = ?"
_WRITE_ID = (
    "insert into seen (stream, event_id, until_ms) values (?, ?, ?) "
    "on conflict (stream, event_id) do update set until_ms = excluded.until_ms"
)
_WRITE_BOOK = (
    "update book set applied = applied + ?, duplicate = duplicate + ?, late = late + ?, rejected = rejected + ?, "
    "last_event_ms = max(last_event_ms, ?) where stream = ?"
)
_APPLIED, _DUPLICATE, _LATE, _REJECTED, _LAST = range(5)
_WRITE_DEAD_LETTER = "insert into dead_letter (stream, log_offset, known_at_ms, reason, detail, payload) values (?, ?, ?, ?, ?, ?)"
_WRITE_FOR_LAKE = "insert into for_lake (log_offset, stream, known_at_ms, payload) values (?, ?, ?, ?)"
_READ_FOR_LAKE = "select log_offset, stream, known_at_ms, payload from for_lake order by log_offset limit ?"
_SPAN_FOR_LAKE = "select (select min(log_offset) from for_lake), (select max(log_offset) from for_lake)"  # in one select it would scan
_WRITE_OUTCOME = "insert into outcome (log_offset, model, key, known_at_ms, value) values (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Applied:
    """An applied event on its way to the lake."""

    offset: int
    stream: str
    known_at_ms: int
    payload: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a label event said of one key."""

    offset: int
    key: str
    known_at_ms: int
    value: float


class SqlState:
    """The engine's state in one SQLite file; fulfils `tidemill.streams.StateStore`.

    Args:
        path: the database file.
        views: whose tiles to keep.
        labels: by model, what its outcomes are.
        retention_ms: by stream, how long ids count.
    """

    def __init__(self, path: Path, views: Sequence[View], labels: Mapping[str, Label], retention_ms: Mapping[str, int]) -> None:
        self._engine = open_sqlite(path, STATE_TABLES)
        self._reader = reading(self._engine)
        self._labels = dict(labels)
        self._retention_ms = dict(retention_ms)
        with self._engine.begin() as connection:
            if connection.execute(select(POSITION.c.id)).first() is None:
                connection.execute(insert(POSITION).values(id=0, token="{}", known_at_ms=0, expired_at_ms=0))
            known = set(connection.execute(select(BOOK.c.stream)).scalars())
            for name in set(retention_ms) - known:
                connection.execute(insert(BOOK).values(stream=name, applied=0, duplicate=0, late=0, rejected=0, last_event_ms=0))
        self.tiles = TileStore(self._engine, views)

    def position(self) -> Position:
        """How far the tiles have come."""
        return self.position_and_time()[0]

    def position_and_time(self) -> tuple[Position, int]:
        """How far the tiles have come, and the `known_at` of the last event taken."""
        with reading_cursor(self._engine) as cursor:
            token, known_at_ms = cursor.execute(_POSITION).fetchone()
        return Position.from_token(token), known_at_ms

    def seen(self, stream: str, event_ids: Sequence[str]) -> Mapping[str, int]:
        """Of these ids, those already applied, with the time until which each counts."""
        with reading_cursor(self._engine) as cursor:
            found = [(event_id, cursor.execute(_READ_ID, (stream, event_id)).fetchone()) for event_id in event_ids]
        return {event_id: row[0] for event_id, row in found if row is not None}

    def commit(self, commit: Commit) -> None:
        """Write everything `commit` says, or nothing.

        Raises:
            ConflictError: the position is no longer `commit.before`.
        """
        with writing_cursor(self._engine) as cursor:
            expired_at_ms = _advance(cursor, commit)
            self._write_ids(cursor, commit)
            _write_books(cursor, commit)
            self._write_applied(cursor, commit)
            self.tiles.apply(cursor, commit.applied)
            if commit.known_at_ms >= expired_at_ms + _EXPIRE_EVERY_MS:
                self._expire(cursor, commit.known_at_ms)

    def books(self, log: Log) -> dict[str, Books]:
        """The books of every stream; what the log received since this state was read counts as pending.

        What was received is counted by the log, where each event went by this state, so that the books can fail to balance.
        """
        with self._reader.connect() as connection:
            token = connection.execute(select(POSITION.c.token)).scalar_one()
            rows = connection.execute(select(BOOK)).mappings().all()
        tally = log.tally(Position.from_token(token))
        return {
            row["stream"]: Books(
                received=tally[row["stream"]].received,
                applied=row["applied"],
                duplicate=row["duplicate"],
                late=row["late"],
                rejected=row["rejected"],
                pending=tally[row["stream"]].pending,
            )
            for row in rows
            if row["stream"] in tally  # a stream that has left the project keeps its row
        }

    def last_event_ms(self) -> dict[str, int]:
        """By stream, the latest event time applied; 0 before the first."""
        with self._reader.connect() as connection:
            rows = connection.execute(select(BOOK.c.stream, BOOK.c.last_event_ms)).all()
        return {name: last_ms for name, last_ms in rows}

    def dead_letters(self, stream: str, limit: int = 100) -> list[dict[str, Any]]:
        """The newest dead letters of a stream, newest first."""
        query = select(DEAD_LETTER).where(DEAD_LETTER.c.stream == stream).order_by(DEAD_LETTER.c.log_offset.desc()).limit(limit)
        with self._reader.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def outcomes(self, model: str, after: int, limit: int) -> list[Outcome]:
        """Outcomes of a model after a log offset, in the order they became known."""
        query = (
            select(OUTCOME.c.log_offset, OUTCOME.c.key, OUTCOME.c.known_at_ms, OUTCOME.c.value)
            .where(OUTCOME.c.model == model, OUTCOME.c.log_offset > after)
            .order_by(OUTCOME.c.log_offset)
            .limit(limit)
        )
        with self._reader.connect() as connection:
            return [Outcome(*row) for row in connection.execute(query)]

    def count_outcomes(self, model: str, after_ms: int) -> int:
        """How many outcomes of a model became known after a time."""
        query = select(func.count()).select_from(OUTCOME).where(OUTCOME.c.model == model, OUTCOME.c.known_at_ms > after_ms)
        with self._reader.connect() as connection:
            return connection.execute(query).scalar_one()

    def for_lake(self, limit: int, cursor: Cursor | None = None) -> list[Applied]:
        """The oldest applied events that wait for the lake; within the caller's transaction where one is given."""
        if cursor is None:
            with reading_cursor(self._engine) as own:
                return self.for_lake(limit, own)
        return [Applied(*row) for row in cursor.execute(_READ_FOR_LAKE, (limit,))]

    @contextmanager
    def writing(self) -> Iterator[tuple[Cursor, int]]:
        """A write transaction at one position, with the `known_at` of that position; the engine waits until it ends."""
        with writing_cursor(self._engine) as cursor:
            yield cursor, cursor.execute(_POSITION).fetchone()[1]

    def waiting_for_lake(self, enough: int = 1) -> int:
        """How many applied events wait for the lake; where fewer than `enough` can, the span of their offsets may be answered instead.

        The span is at hand at once, a count costs as much as a small batch, and a writer asks at every step.
        """
        with reading_cursor(self._engine) as cursor:
            first, last = cursor.execute(_SPAN_FOR_LAKE).fetchone()
            span = 0 if first is None else int(last - first + 1)
            return span if span < enough else int(cursor.execute("select count(*) from for_lake").fetchone()[0])

    def in_lake(self, up_to_offset: int) -> None:
        """Forget the events that the lake holds for good."""
        with writing_cursor(self._engine) as cursor:
            cursor.execute("delete from for_lake where log_offset <= ?", (up_to_offset,))

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def _write_ids(self, cursor: Cursor, commit: Commit) -> None:
        rows = [
            (name, event.event_id, event.event_time_ms + self._retention_ms[name])
            for name, batch in commit.applied.items()
            for event in batch.events
        ]
        if rows:
            cursor.executemany(_WRITE_ID, rows)

    def _write_applied(self, cursor: Cursor, commit: Commit) -> None:
        rows = [
            (int(offset), name, int(known_at_ms), payload)
            for name, batch in commit.applied.items()
            for offset, known_at_ms, payload in zip(batch.offsets, batch.known_at_ms, batch.payloads, strict=True)
        ]
        if rows:
            cursor.executemany(_WRITE_FOR_LAKE, rows)
        outcomes = [
            (int(offset), model, key, int(known_at_ms), float(value))
            for model, label in self._labels.items()
            if (batch := commit.applied.get(label.stream.name)) is not None
            for offset, known_at_ms, key, value in zip(batch.offsets, batch.known_at_ms, *label.read(batch), strict=True)
            if key is not None and value == value
        ]
        if outcomes:
            cursor.executemany(_WRITE_OUTCOME, outcomes)

    def _expire(self, cursor: Cursor, known_at_ms: int) -> None:
        cursor.execute("delete from seen where until_ms < ?", (known_at_ms,))
        self.tiles.expire(cursor, known_at_ms)
        cursor.execute("update position set expired_at_ms = ?", (known_at_ms,))


def _advance(cursor: Cursor, commit: Commit) -> int:
    """Move the position by compare-and-set; answers when tiles and ids were last expired."""
    before = commit.before.token
    row = cursor.execute(_ADVANCE, (commit.after.token, commit.known_at_ms, before)).fetchone()
    if row is None:
        raise ConflictError(f"the position is no longer {before}; another engine has committed. Read it again, then go on from there")
    return int(row[0])


def _write_books(cursor: Cursor, commit: Commit) -> None:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for name, batch in commit.applied.items():
        counts[name][_APPLIED] = len(batch.events)
        counts[name][_LAST] = int(batch.event_time_ms.max())
    for name, more in commit.duplicates.items():
        counts[name][_DUPLICATE] = more
    for letter in commit.dead:
        counts[letter.record.stream][_LATE if letter.late else _REJECTED] += 1
    cursor.executemany(_WRITE_BOOK, [(*row, name) for name, row in counts.items()])
    letters = [(letter.record, letter.reason, letter.detail) for letter in commit.dead]
    rows = [(one.stream, one.offset, one.known_at_ms, reason, detail, one.payload) for one, reason, detail in letters]
    cursor.executemany(_WRITE_DEAD_LETTER, rows)
