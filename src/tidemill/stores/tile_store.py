"""Reading tiles, sketches and rows of many keys at once, at one position; where the tiles lie is said by the two kinds of store."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from tidemill.errors import NotFoundError
from tidemill.events import Column
from tidemill.features import FeatureSource, Table, View
from tidemill.kernels import Floats
from tidemill.stores.cursors import Cursor
from tidemill.stores.hot_keys import HotKeys
from tidemill.stores.row_store import RowStore
from tidemill.stores.shelves import SetNumbers, Shelf, shelve, tile_sets
from tidemill.stores.sketch_store import SketchStore
from tidemill.stores.tile_read import Plan
from tidemill.streams import Position

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


class Moment(NamedTuple):
    """What a reading is of: as long as it is held, nothing that it says changes.

    Args:
        token: the position.
        known_at_ms: of the last event taken.
        change: the number of the last change.
        catalog: the number of the catalogue.
        cursor: of the database at that position; None where the caller needs none.
    """

    token: str
    known_at_ms: int
    change: int
    catalog: int
    cursor: Cursor | None


class TileStore(ABC):
    """The tiles of all views, and the rows of all tables, read together at one position.

    Args:
        sources: the views whose tiles are kept, and the tables whose rows are.
    """

    def __init__(self, sources: Sequence[FeatureSource]) -> None:
        views = [source for source in sources if isinstance(source, View)]
        self.sketches = SketchStore(views)
        self.rows = RowStore([source for source in sources if isinstance(source, Table)])
        self._sources = {source.name: source for source in sources}
        self._shelves: list[Shelf] = shelve(tile_sets(views))
        # within a step of time no value changes by itself
        self._steps_ms = {view.name: math.gcd(*(feature.bucket_ms for feature in view.features.values())) for view in views}
        self._step_ms = math.gcd(*self._steps_ms.values()) or 1
        self._in_database = {source.name for source in sources if isinstance(source, Table) or source.sketches}
        self._columns = {source.name: source.feature_columns for source in sources}
        self._hot = HotKeys()
        self._plans: dict[Hashable, Plan] = {}

    def read(self, lookups: Sequence[Lookup], at_ms: int, *, or_later: bool = False) -> Reading:
        """Values for many keys at one time, with the position they were read at.

        Args:
            lookups: the keys of each view or table.
            at_ms: the time.
            or_later: read at the `known_at` of the last event taken where that lies later, as it may: events come between a look at a clock
                and the reading, and the clock that they are known by, a broker's say, may be ahead.

        Raises:
            NotFoundError: no such view or table.
        """
        asked: dict[str, Sequence[str | None]] = {}
        for lookup in lookups:
            if lookup.view not in self._sources:
                raise NotFoundError("view or table", lookup.view, tuple(self._sources))
            asked[lookup.view] = lookup.keys if len(lookup.keys) == 1 else list(dict.fromkeys(lookup.keys))
        with self._moment(beside_database=not self._in_database.isdisjoint(asked)) as moment:
            return self._reading(lookups, asked, moment, max(at_ms, moment.known_at_ms) if or_later else at_ms)

    def may_wait(self, names: Iterable[str]) -> bool:
        """Whether a reading of these views and tables may have to wait for others now."""
        return not self._in_database.isdisjoint(names)

    @abstractmethod
    def _moment(self, *, beside_database: bool) -> AbstractContextManager[Moment]:
        """What is read now; `beside_database` says whether sketches or rows are read too.

        Raises:
            ConflictError: an engine died between its commit and the tables.
        """

    @abstractmethod
    def _numbers(self, moment: Moment) -> SetNumbers:
        """The numbers of the sets that may be read; a set that is not among them reads as missing."""

    @abstractmethod
    def _make_plan(self, views: Sequence[View], moment: Moment, at_ms: int) -> Plan:
        """How to read these views at a time, as long as the catalogue does not change."""

    @abstractmethod
    def _read_tiles(self, plan: Plan, asked: Asked, moment: Moment) -> dict[str, Floats]:
        """By view, the (features, keys) values of the keys asked of some of the plan's views."""

    def _reading(self, lookups: Sequence[Lookup], asked: Asked, moment: Moment, at_ms: int) -> Reading:
        """What stands at a moment; `asked` are the distinct keys of the lookups."""
        stamp = (moment.change, moment.token, moment.catalog, at_ms // self._step_ms)  # a crash of a server may take numbers back
        found = self._hot.get(asked, stamp)
        if len(found) < len(asked):
            lacking = {name: keys for name, keys in asked.items() if name not in found}
            by_tiles = self._read_tiles(self._plan_for(tuple(asked), moment, at_ms), lacking, moment)
            read: dict[str, Iterable[Column]] = {**by_tiles}
            if moment.cursor is not None:
                read |= self._from_database(moment.cursor, lacking, moment, at_ms, by_tiles)
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
        return Reading(_position(moment.token), moment.known_at_ms, values)

    def _plan_for(self, names: tuple[str, ...], moment: Moment, at_ms: int) -> Plan:
        """How to read the views among these; an earlier plan serves while no table comes or goes and the time lies in the same buckets."""
        stamp = (names, moment.catalog, at_ms // (math.gcd(*[self._steps_ms.get(name, 0) for name in names]) or 1))
        plan = self._plans.get(stamp)
        if plan is None:
            views = [source for source in map(self._sources.__getitem__, names) if isinstance(source, View)]
            plan = self._make_plan(views, moment, at_ms)
            if len(self._plans) >= _PLANS:
                self._plans = {}
            self._plans[stamp] = plan
        return plan

    def _from_database(
        self, cursor: Cursor, asked: Asked, moment: Moment, at_ms: int, by_tiles: Mapping[str, Floats]
    ) -> dict[str, list[Column]]:
        """The columns of tables, and of views that have sketches beside their tiles."""
        numbers = self._numbers(moment)
        told: dict[str, Column] = dict(self.sketches.read(cursor, asked, at_ms, numbers))
        # rows that were superseded by the position are gone, so no earlier time can be asked of them
        told |= self.rows.read(cursor, asked, max(at_ms, moment.known_at_ms), numbers)
        return {
            name: [told[column] if column in told else by_tiles[name][place] for place, column in enumerate(self._columns[name])]
            for name in self._in_database.intersection(asked)
        }


@lru_cache(maxsize=16)
def _position(token: str) -> Position:
    return Position.from_token(token)
