"""How far the source of each stream has been copied, and how its copy is doing; in the log's database, so that both change together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from sqlalchemy import Column, Engine, Float, MetaData, Table

from tidemill.errors import ConflictError
from tidemill.events import Copied
from tidemill.stores.column_types import Whole, Word, Words
from tidemill.stores.cursors import Cursor, reading_cursor, writing_cursor
from tidemill.stores.databases import Databases
from tidemill.streams import Advance

_MAX_ERROR = 500  # letters of an error that are kept


@dataclass(frozen=True, slots=True)
class Standing:
    """How the copy of one source is doing.

    Args:
        stream: whose source.
        events: how many were copied.
        last_ms: wall time of the last copy that brought some; None before the first.
        events_per_s: of late.
        lag: how many events waited in the source at the last look; None where it cannot tell.
        error: what went wrong at the last try; None when it went well.
        told_ms: wall time of the last news, good or bad.
    """

    stream: str
    events: int
    last_ms: int | None
    events_per_s: float | None
    lag: int | None
    error: str | None
    told_ms: int | None


def add_source_tables(tables: MetaData) -> None:
    """Add the tables to those of a log."""
    Table(
        "source",
        tables,
        Column("stream", Word, primary_key=True),
        Column("checkpoint", Words, nullable=False),
        Column("events", Whole, nullable=False),
        Column("last_ms", Whole),
    )
    Table("source_part", tables, Column("stream", Word, primary_key=True), Column("name", Word, primary_key=True))
    Table(
        "source_news",
        tables,
        Column("stream", Word, primary_key=True),
        Column("events_per_s", Float),
        Column("lag", Whole),
        Column("error", Words),
        Column("told_ms", Whole, nullable=False),
    )


_CHECKPOINT = "select checkpoint from source where stream = ?"
_ADVANCE = (
    "insert into source (stream, checkpoint, events, last_ms) values (?, ?, ?, ?) on conflict (stream) do update set "
    "checkpoint = excluded.checkpoint, events = source.events + excluded.events, last_ms = coalesce(excluded.last_ms, source.last_ms)"
)
_FINISH = "insert into source_part (stream, name) values (?, ?) on conflict do nothing"
_IS_FINISHED = "select 1 from source_part where stream = ? and name = ?"
_TELL = (
    "insert into source_news (stream, events_per_s, lag, error, told_ms) values (?, ?, ?, ?, ?) on conflict (stream) do update set "
    "events_per_s = excluded.events_per_s, lag = excluded.lag, error = excluded.error, told_ms = excluded.told_ms"
)
_STANDING = (
    "select s.stream, coalesce(events, 0), last_ms, events_per_s, lag, error, told_ms from "
    "(select stream from source union select stream from source_news) s "
    "left join source on source.stream = s.stream left join source_news n on n.stream = s.stream order by 1"
)


def advance_source(cursor: Cursor, advance: Advance, n_events: int, now_ms: int) -> None:
    """Move a copy on, within the transaction that appends its events.

    Raises:
        ConflictError: it stands elsewhere than it was read from.
    """
    if _checkpoint(cursor, advance.stream) != advance.before:
        raise ConflictError(f"another process copies the source of {advance.stream!r}; it has moved on meanwhile")
    cursor.execute(_ADVANCE, (advance.stream, advance.after, n_events, now_ms if n_events else None))
    cursor.executemany(_FINISH, [(advance.stream, name) for name in advance.finished])


class SourceBooks:
    """The copies of one log.

    Args:
        engine: of the log's database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def copied(self, stream: str) -> Copied:
        """See `tidemill.streams.Log`."""
        with reading_cursor(self._engine) as cursor:
            return Copied(_checkpoint(cursor, stream), partial(self._is_finished, stream))

    def close(self) -> None:
        """Let go of the database; only who opened it."""
        self._engine.dispose()

    def note(self, advance: Advance, n_events: int, now_ms: int) -> None:
        """Count, for people, what another log has copied, which keeps the checkpoint itself."""
        with writing_cursor(self._engine) as cursor:
            cursor.execute(_ADVANCE, (advance.stream, advance.after, n_events, now_ms if n_events else None))

    def tell(self, stream: str, now_ms: int, events_per_s: float | None, lag: int | None) -> None:
        """Note that a copy goes well."""
        with writing_cursor(self._engine) as cursor:
            cursor.execute(_TELL, (stream, events_per_s, lag, None, now_ms))

    def tell_failure(self, stream: str, now_ms: int, error: str) -> None:
        """Note what went wrong at the last try."""
        with writing_cursor(self._engine) as cursor:
            cursor.execute(_TELL, (stream, None, None, error[:_MAX_ERROR], now_ms))

    def standing(self) -> dict[str, Standing]:
        """By stream, how each copy is doing that was ever begun."""
        with reading_cursor(self._engine) as cursor:
            return {row[0]: Standing(*row) for row in cursor.execute(_STANDING)}

    def _is_finished(self, stream: str, name: str) -> bool:
        with reading_cursor(self._engine) as cursor:
            return cursor.execute(_IS_FINISHED, (stream, name)).fetchone() is not None


def open_source_books(databases: Databases) -> SourceBooks:
    """Those of a log that keeps checkpoints elsewhere, in a database of their own."""
    tables = MetaData()
    add_source_tables(tables)
    return SourceBooks(databases.open("sources", tables))


def _checkpoint(cursor: Cursor, stream: str) -> str:
    found = cursor.execute(_CHECKPOINT, (stream,)).fetchone()
    return str(found[0]) if found else ""
