"""The engine's state: position, books, dead letters and outcomes in SQL, tiles and ids beside them, always changed together.

Where tiles and ids lie is the business of its two kinds: `MappedState` (tables in files) and `RowState` (rows of PostgreSQL).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select, bindparam, func, select

from tidemill.errors import ConflictError
from tidemill.events import EventBatch
from tidemill.features import Label
from tidemill.stores.commit_sql import advance, write_books, write_duplicates, write_outcomes
from tidemill.stores.cursors import Cursor, reading, reading_cursor, writing_cursor
from tidemill.stores.definitions import Definitions
from tidemill.stores.followers import Followers, forget_duplicates
from tidemill.stores.insert_new import begin_with
from tidemill.stores.log_identity import LogIdentity
from tidemill.stores.shelves import SetNumbers
from tidemill.stores.sizes import Size
from tidemill.stores.state_tables import BOOK, DEAD_LETTER, OUTCOME, POSITION
from tidemill.stores.tile_sets import TileSets
from tidemill.stores.tile_store import TileStore
from tidemill.streams import Books, Commit, Log, Position
from tidemill.streams.engine import Ints

# Run for every batch: plain SQL with bound parameters, as building it anew with Core costs more than running it.
_POSITION = "select token, known_at_ms from position"
_STANDING = "select token, known_at_ms, change, lost, fed from position"
_NOT_APPLIED = (
    "select log_offset from duplicate where stream = ? and log_offset between ? and ? "
    "union all select log_offset from dead_letter where stream = ? and log_offset between ? and ?"
)


_OUTCOMES = select(OUTCOME.c.number, OUTCOME.c.key, OUTCOME.c.known_at_ms, OUTCOME.c.value, OUTCOME.c.text)
_KEYS_A_QUERY = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a label event said of one key, a number or a text; `number` rises in the order of commits."""

    number: int
    key: str
    known_at_ms: int
    value: float | str


@dataclass(frozen=True, slots=True)
class StateRow:
    """What the database says of tiles and ids: the position they stand at, and the number of the change that brought them there."""

    token: str
    known_at_ms: int
    change: int
    lost: bool
    fed: str


FillStep = Callable[[Cursor], None]


class SqlState(ABC):
    """The engine's state; fulfils `tidemill.streams.StateStore`.

    Args:
        engine: of the database, with the tables of `STATE_TABLES`.
        labels: by model, what its outcomes are.
        streams: those that have books.
    """

    tiles: TileStore
    sets: TileSets

    def __init__(self, engine: Engine, labels: Mapping[str, Label], streams: Sequence[str]) -> None:
        self._engine = engine
        self._reader = reading(engine)
        self.definitions = Definitions(engine)
        self.followers = Followers(engine)
        self.log_identity = LogIdentity(engine)
        self._labels = dict(labels)
        empty = {"token": Position({}).token, "lake_token": Position({}).token, "fed": ""}
        begin_with(engine, POSITION, [{"id": 0, "known_at_ms": 0, "change": 0, "lost": False, **empty}])
        nothing = {"applied": 0, "duplicate": 0, "late": 0, "rejected": 0, "last_event_ms": 0}
        begin_with(engine, BOOK, [{"stream": name, **nothing} for name in sorted(set(streams))])

    @abstractmethod
    def known_until(self, stream: str, event_ids: Sequence[str]) -> Ints:
        """(n,) int64: the time (ms) until which each id counts as applied; -1 for one that was not."""

    @abstractmethod
    def commit(self, commit: Commit) -> None:
        """Write everything `commit` says, or nothing.

        Raises:
            ConflictError: the position is no longer `commit.before`, or tiles and ids must be built anew first.
        """

    @abstractmethod
    def fill(self, applied: Mapping[str, EventBatch], numbers: SetNumbers, *, ids: bool, done: FillStep | None = None) -> None:
        """Merge events of the past into sets of tiles or rows that lack them, and into the ids where asked; all or nothing.

        Args:
            applied: by stream, events that were applied before and are not in these sets.
            numbers: the sets to fill.
            ids: whether the ids are filled too.
            done: writes down, in the same transaction, how far the filling has come.
        """

    @abstractmethod
    def begin_anew(self) -> SetNumbers:
        """Drop every tile, row and id, to fill them from history; answers the sets to fill."""

    @abstractmethod
    def end_anew(self) -> None:
        """Say that tiles, rows and ids hold everything up to the position again."""

    @abstractmethod
    def sizes(self) -> list[Size]:
        """The room that tiles, ids and rows take, now and at the rate of now."""

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

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
        found = zip(event_ids, self.known_until(stream, event_ids).tolist(), strict=True)
        return {event_id: until_ms for event_id, until_ms in found if until_ms >= 0}

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
        newest_first = (DEAD_LETTER.c.known_at_ms.desc(), DEAD_LETTER.c.log_offset.desc())
        query = select(DEAD_LETTER).where(DEAD_LETTER.c.stream == stream).order_by(*newest_first).limit(limit)
        with self._reader.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def dead_letters_after(self, stream: str, after: int, limit: int) -> list[dict[str, Any]]:
        """The dead letters of a stream past a log offset, by their log offsets; -1 for from the first."""
        query = select(DEAD_LETTER).where(DEAD_LETTER.c.stream == stream, DEAD_LETTER.c.log_offset > after)
        with self._reader.connect() as connection:
            return [dict(row) for row in connection.execute(query.order_by(DEAD_LETTER.c.log_offset).limit(limit)).mappings()]

    def outcomes(self, model: str, after: int, limit: int) -> list[Outcome]:
        """Outcomes of a model after a number, in the order of commits."""
        query = _OUTCOMES.where(OUTCOME.c.model == model, OUTCOME.c.number > after).order_by(OUTCOME.c.number).limit(limit)
        return self._outcomes(query)

    def newest_outcomes(self, model: str, limit: int) -> list[Outcome]:
        """The last outcomes of a model, in the order of commits."""
        return self._outcomes(_OUTCOMES.where(OUTCOME.c.model == model).order_by(OUTCOME.c.number.desc()).limit(limit))[::-1]

    def outcomes_of(self, model: str, keys: Sequence[str]) -> list[Outcome]:
        """The outcomes of these keys, those of one key in the order of commits."""
        query = _OUTCOMES.where(OUTCOME.c.model == model, OUTCOME.c.key.in_(bindparam("keys", expanding=True))).order_by(OUTCOME.c.number)
        distinct = list(dict.fromkeys(keys))
        lots = (distinct[begin : begin + _KEYS_A_QUERY] for begin in range(0, len(distinct), _KEYS_A_QUERY))
        return [outcome for lot in lots for outcome in self._outcomes(query, {"keys": lot})]

    def count_outcomes(self, model: str, after_ms: int) -> int:
        """How many outcomes of a model became known after a time."""
        query = select(func.count()).select_from(OUTCOME).where(OUTCOME.c.model == model, OUTCOME.c.known_at_ms > after_ms)
        with self._reader.connect() as connection:
            return connection.execute(query).scalar_one()

    def _outcomes(self, query: Select[Any], values: Mapping[str, Any] | None = None) -> list[Outcome]:
        with self._reader.connect() as connection:
            rows = connection.execute(query, dict(values or {})).all()
        return [Outcome(number, key, known_at_ms, value if text is None else text) for number, key, known_at_ms, value, text in rows]

    def not_applied(self, stream: str, first: int, last: int) -> set[int]:
        """The log offsets from `first` to `last` of a stream's events that were taken but not applied."""
        with reading_cursor(self._engine) as cursor:
            return {row[0] for row in cursor.execute(_NOT_APPLIED, (stream, first, last, stream, first, last))}

    def lake_position(self) -> Position:
        """How far the lake has come."""
        with reading_cursor(self._engine) as cursor:
            return Position.from_token(cursor.execute("select lake_token from position").fetchone()[0])

    def in_lake(self, position: Position) -> None:
        """Write down that the lake holds everything up to a position."""
        with writing_cursor(self._engine) as cursor:
            cursor.execute("update position set lake_token = ?", (position.token,))
            forget_duplicates(cursor, position)

    def is_lost(self) -> bool:
        """Whether tiles and ids are gone, so that they must be built anew before the next event; see `rebuild`."""
        return self._standing().lost

    def _standing(self, cursor: Cursor | None = None) -> StateRow:
        if cursor is None:
            with reading_cursor(self._engine) as reader:
                return self._standing(reader)
        token, known_at_ms, change, lost, fed = cursor.execute(_STANDING).fetchone()
        return StateRow(token, known_at_ms, change, bool(lost), fed)

    def _write(self, cursor: Cursor, commit: Commit, change: int, numbers: SetNumbers) -> None:
        """What a commit changes beside tiles of fixed size and ids."""
        advance(cursor, commit, change)
        write_books(cursor, commit)
        write_duplicates(cursor, commit)
        write_outcomes(cursor, commit, self._labels)
        self.tiles.sketches.write(cursor, commit.applied, commit.known_at_ms, numbers)
        self.tiles.sketches.expire(cursor, commit.known_at_ms, numbers)
        self.tiles.rows.write(cursor, commit.applied, commit.known_at_ms, numbers)

    def _forget_rows(self, cursor: Cursor, standing: StateRow) -> None:
        """Drop what SQL keeps of tiles and rows, and say that everything must be built anew if ever there was something."""
        cursor.execute("update position set lost = ?", (standing.change > 0,))
        cursor.execute("delete from sketch")
        cursor.execute("delete from table_row")
        self.sets.forget(cursor, standing.token)

    def _all_whole(self, cursor: Cursor) -> None:
        cursor.execute("update position set lost = ?", (False,))
        cursor.execute("update tile_set set whole = ?", (True,))


def refuse_lost(standing: StateRow) -> None:
    """Take no event on top of tiles and ids that are gone.

    Raises:
        ConflictError: they are.
    """
    if standing.lost:
        raise ConflictError("the tables of tiles and ids are gone; they are built anew from lake and log when the engine starts")
