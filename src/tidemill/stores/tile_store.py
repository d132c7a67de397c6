"""Tiles in hash tables: merged when events are applied, read for many keys at once with the position they stand at."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Engine

from tidemill.clock import duration_text
from tidemill.errors import ConflictError, NotFoundError
from tidemill.events import Column, EventBatch
from tidemill.features import FeatureSource, Table, View
from tidemill.kernels import Floats
from tidemill.stores.change_journal import Write
from tidemill.stores.cursors import Cursor, reading_cursor
from tidemill.stores.hot_keys import HotKeys
from tidemill.stores.row_store import RowStore
from tidemill.stores.shelves import SetNumbers, shelve, tile_sets
from tidemill.stores.sizes import Size, size_of
from tidemill.stores.sketch_store import SketchStore
from tidemill.stores.table_files import TableFiles
from tidemill.stores.tile_merge import merge_events
from tidemill.stores.tile_read import Plan, make_plan
from tidemill.streams import Position

_PATIENCE_S = 30.0  # with a writer that lives; how long it takes is the machine's affair
_PLANS = 64

Asked = Mapping[str, Sequence[str | None]]  # by view or table, distinct keys


@dataclass(frozen=True)
class Lookup:
    """The keys to read of one view or table; a None key reads as an entity without events."""

    view: str
    keys: Sequence[str | None]


@dataclass(frozen=True)
class Reading:
    """What was read at one position.

    Args:
        position: what the tiles had taken.
        known_at_ms: the `known_at` of the last event taken.
        values: by column (`view__feature`), (n_keys,) float64 with NaN for missing; of a table also text with None.
    """

    position: Position
    known_at_ms: int
    values: Mapping[str, Column]


class TileStore:
    """The tiles of all views, and the rows of all tables, read together at one position.

    Args:
        files: where the tables lie.
        sources: the views whose tiles are kept, and the tables whose rows are.
        numbers: the numbers of the sets that may be read now; a set that is not among them reads as missing.
        database: of the state, where sketches and rows are.
    """

    def __init__(self, files: TableFiles, sources: Sequence[FeatureSource], numbers: Callable[[], SetNumbers], database: Engine) -> None:
        views = [source for source in sources if isinstance(source, View)]
        self.sketches = SketchStore(views)
        self.rows = RowStore([source for source in sources if isinstance(source, Table)])
        self._database = database
        self._files = files
        self._numbers = numbers
        self._sources = {source.name: source for source in sources}
        self._shelves = shelve(tile_sets(views))
        # within a step of time no value changes by itself
        self._steps_ms = {view.name: math.gcd(*(feature.bucket_ms for feature in view.features.values())) for view in views}
        self._step_ms = math.gcd(*self._steps_ms.values()) or 1
        self._in_database = {source.name for source in sources if isinstance(source, Table) or source.sketches}
        self._columns = {source.name: source.feature_columns for source in sources}
        self._hot = HotKeys()
        self._plans: dict[Hashable, Plan] = {}

    def prepare(self, applied: Mapping[str, EventBatch], known_at_ms: int, numbers: SetNumbers) -> list[Write]:
        """The rows that these events change; see `merge_events`."""
        writes: list[Write] = []
        for stream, batch in applied.items():
            shelves = [shelf for shelf in self._shelves if shelf.stream == stream]
            writes += merge_events(self._files, shelves, batch, known_at_ms, numbers)
        return writes

    def read(self, lookups: Sequence[Lookup], at_ms: int) -> Reading:
        """Values for many keys at one time, with the position they were read at.

        Raises:
            NotFoundError: no such view or table.
        """
        asked: dict[str, Sequence[str | None]] = {}
        for lookup in lookups:
            if lookup.view not in self._sources:
                raise NotFoundError("view or table", lookup.view, tuple(self._sources))
            asked[lookup.view] = lookup.keys if len(lookup.keys) == 1 else list(dict.fromkeys(lookup.keys))
        if self._in_database.isdisjoint(asked):
            with self._files.reading():
                return self._reading(lookups, asked, None, at_ms)
        with self._beside_database() as cursor:
            return self._reading(lookups, asked, cursor, at_ms)

    def expired(self, now_ms: int) -> list[str]:
        """The tables that no window reaches any more."""
        tables = self._files.tables()
        return [name for shelf in self._shelves for name in shelf.generations.before(tables, shelf.oldest_ms(now_ms))]

    def sizes(self, now_ms: int) -> list[Size]:
        """The room that the tiles of each shelf take."""
        tables = self._files.tables()
        return [
            size_of(
                f"tiles of {', '.join(tiles.view.name for tiles in shelf.sets)} ({duration_text(shelf.bucket_ms)})",
                shelf.generations,
                shelf.generations.among(tables),
                shelf.longest_ms + shelf.bucket_ms,
                now_ms,
            )
            for shelf in self._shelves
        ]

    def _reading(self, lookups: Sequence[Lookup], asked: Asked, cursor: Cursor | None, at_ms: int) -> Reading:
        """What stands at the position of this moment, at which nothing changes; `asked` are the distinct keys of the lookups."""
        token, known_at_ms = self._files.position()
        stamp = (self._files.change, self._files.catalog, at_ms // self._step_ms)
        found = self._hot.get(asked, stamp)
        if len(found) < len(asked):
            lacking = {name: keys for name, keys in asked.items() if name not in found}
            by_tiles = self._plan_for(tuple(asked), at_ms).read(lacking)
            read: dict[str, Iterable[Column]] = {**by_tiles}
            if cursor is not None:
                read |= self._from_database(cursor, lacking, at_ms, by_tiles)
            # a table's rows come to hold at any time, so they are not remembered
            hot = {(name, keys[0]): read[name] for name, keys in lacking.items() if len(keys) == 1 and not self.rows.has(name)}
            self._hot.put(hot, stamp)
            found |= read
        values: dict[str, Column] = {}
        for lookup in lookups:
            columns, distinct = found[lookup.view], asked[lookup.view]
            if len(distinct) < len(lookup.keys):
                place_of = {key: place for place, key in enumerate(distinct)}
                places = [place_of[key] for key in lookup.keys]
                columns = [column[places] for column in columns]
            values |= zip(self._columns[lookup.view], columns, strict=False)  # an array would say with an error that it ends
        return Reading(_position(token), known_at_ms, values)

    def _plan_for(self, names: tuple[str, ...], at_ms: int) -> Plan:
        """How to read the views among these; an earlier plan serves while no table comes or goes and the time lies in the same buckets."""
        stamp = (names, self._files.catalog, at_ms // (math.gcd(*[self._steps_ms.get(name, 0) for name in names]) or 1))
        plan = self._plans.get(stamp)
        if plan is None:
            views = [source for source in map(self._sources.__getitem__, names) if isinstance(source, View)]
            plan = make_plan(self._shelves, views, self._numbers(), self._files.tables(), at_ms)
            if len(self._plans) >= _PLANS:
                self._plans = {}
            self._plans[stamp] = plan
        return plan

    def _from_database(self, cursor: Cursor, asked: Asked, at_ms: int, by_tiles: Mapping[str, Floats]) -> dict[str, list[Column]]:
        """The columns of tables, and of views that have sketches beside their tiles."""
        told: dict[str, Column] = dict(self.sketches.read(cursor, asked, at_ms, self._numbers()))
        # rows that were superseded by the position are gone, so no earlier time can be asked of them
        told |= self.rows.read(cursor, asked, max(at_ms, self._files.position()[1]), self._numbers())
        return {
            name: [told[column] if column in told else by_tiles[name][place] for place, column in enumerate(self._columns[name])]
            for name in self._in_database.intersection(asked)
        }

    @contextmanager
    def _beside_database(self) -> Iterator[Cursor]:
        """The database at the position that the tables stand at.

        Raises:
            ConflictError: an engine died between its commit and the tables, or stands still there.
        """
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            with self._files.reading(), reading_cursor(self._database) as cursor:
                if self._is_applied(cursor):
                    yield cursor
                    return
            # either a writer has committed and waits for us to apply, then it has the right to write; or it is gone
            with self._files.standing_still() as nobody_writes, reading_cursor(self._database) as cursor:
                if nobody_writes and not self._is_applied(cursor):
                    raise ConflictError("an engine died while it changed the tiles; start it again, it sets them right at once")
            if time.monotonic() > deadline_s:
                raise ConflictError(f"an engine has been changing the tiles for {_PATIENCE_S:.0f} s; has somebody stopped it?")
            time.sleep(0.0005)

    def _is_applied(self, cursor: Cursor) -> bool:
        """Whether the tables hold the last change that the database has committed."""
        return bool(cursor.execute("select change from position").fetchone()[0] == self._files.change)


@lru_cache(maxsize=16)
def _position(token: str) -> Position:
    return Position.from_token(token)
