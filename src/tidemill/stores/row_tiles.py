"""Tiles as rows of PostgreSQL: merged by the same loops as mapped ones, and read by them, out of a table in memory of what was asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine

from tidemill.events import EventBatch
from tidemill.features import FeatureSource, View
from tidemill.kernels import STATE, Floats, Ints, Tags, merge_rows
from tidemill.stores.cursors import Cursor, reading_cursor
from tidemill.stores.digests import digest_texts
from tidemill.stores.memory_table import memory_table
from tidemill.stores.postgres_arrays import byteas, floats, int8s, uuids, whole_numbers
from tidemill.stores.row_sizes import Kind
from tidemill.stores.shelves import SetNumbers, Shelf
from tidemill.stores.tile_read import Plan, make_parts
from tidemill.stores.tile_sets import TileSets
from tidemill.stores.tile_store import Asked, Moment, TileStore
from tidemill.stores.tile_sums import sum_events

_ODD = np.uint64(1)
_MOMENT = "select token, known_at_ms, change, number from position, catalogue"
# The limit keeps the planner to one look into the index for each tile, however many are asked.
_FIND = (
    "select coalesce(string_agg(int4send(asked.place::int4), ''::bytea), ''), coalesce(string_agg(held.state, ''::bytea), '') "
    "from unnest(?::int8[], ?::uuid[]) with ordinality as asked (until_ms, tag, place) cross join lateral "
    "(select state from tile where tile.until_ms = asked.until_ms and tile.tag = asked.tag limit 1) as held"
)
WRITE_TILES = (
    "insert into tile (until_ms, tag, state) select * from unnest(?::int8[], ?::uuid[], ?::bytea[]) "
    "on conflict (until_ms, tag) do update set state = excluded.state"
)
_EXPIRE = "delete from tile where ctid = any(array(select ctid from tile where until_ms <= ? order by until_ms limit ?))"


@dataclass(frozen=True)
class _Wanted:
    """Tiles of one width: (n,) until when a window reaches each, and both halves of its digest."""

    width: int
    until_ms: Ints
    a: Tags
    b: Tags


class RowTiles(TileStore):
    """The tiles of all views in the table `tile`; what writes is part of the caller's transaction.

    Args:
        engine: of the state's database.
        sources: the views whose tiles are kept, and the tables whose rows are.
        sets: which of them may be read.
    """

    def __init__(self, engine: Engine, sources: Sequence[FeatureSource], sets: TileSets) -> None:
        super().__init__(sources)
        self._engine = engine
        self._sets = sets

    @property
    def kind(self) -> Kind:
        """What their room depends on; of shelves whose tiles live equally long, the longest bucket counts."""
        shelves = sorted(self._shelves, key=lambda shelf: shelf.bucket_ms)
        return Kind("tiles", "tile", {_reach_ms(shelf): shelf.bucket_ms for shelf in shelves})

    def merge(self, cursor: Cursor, applied: Mapping[str, EventBatch], known_at_ms: int, numbers: SetNumbers) -> int:
        """Merge events into the tiles, see `sum_events`; answers how many tiles it wrote."""
        summed = [
            part
            for stream, batch in applied.items()
            for part in sum_events([shelf for shelf in self._shelves if shelf.stream == stream], batch, known_at_ms, numbers)
        ]
        wanted = [_Wanted(shelf.layout.width, sums.starts_ms + _reach_ms(shelf), sums.a, sums.b) for shelf, sums in summed]
        if not sum(len(some.a) for some in wanted):
            return 0
        for (shelf, sums), (places, states) in zip(summed, _find(cursor, wanted), strict=True):
            n_rows, fresh = len(sums.a), np.ones(len(sums.a), dtype=np.bool_)
            fresh[places] = False
            cells = np.zeros((n_rows, STATE + shelf.layout.width))
            cells[places, STATE:] = states
            merge_rows(shelf.layout.merges, cells, np.arange(n_rows), fresh, sums.states)
        cursor.execute(WRITE_TILES, (*_columns(wanted), byteas([sums.states for _, sums in summed])))
        return sum(len(some.a) for some in wanted)

    def expire(self, cursor: Cursor, known_at_ms: int, most: int) -> None:
        """Delete some of the tiles that no window reaches any more."""
        cursor.execute(_EXPIRE, (known_at_ms, most))

    def may_wait(self, names: Iterable[str]) -> bool:
        """See `TileStore.may_wait`: everything is in a server."""
        return True

    @contextmanager
    def _moment(self, *, beside_database: bool) -> Iterator[Moment]:  # everything is in the database
        with reading_cursor(self._engine) as cursor:
            token, known_at_ms, change, catalog = cursor.execute(_MOMENT).fetchone()
            yield Moment(token, known_at_ms, change, catalog, cursor)

    def _numbers(self, moment: Moment) -> SetNumbers:
        return self._sets.readable(moment.catalog, moment.cursor)

    def _make_plan(self, views: Sequence[View], moment: Moment, at_ms: int) -> Plan:
        parts = make_parts(self._shelves, views, self._numbers(moment), _empty_table, at_ms)
        shelves = [shelf for shelf, _ in parts]
        return _RowPlan({view.name: len(view.feature_columns) for view in views}, [part for _, part in parts], shelves, at_ms)

    def _read_tiles(self, plan: Plan, asked: Asked, moment: Moment) -> dict[str, Floats]:
        assert isinstance(plan, _RowPlan) and moment.cursor is not None
        return plan.filled(moment.cursor, asked).read(asked)


@dataclass(frozen=True)
class _RowPlan(Plan):
    """A plan whose tables are empty, with the shelf of each part and the time at which they are read."""

    shelves: Sequence[Shelf]
    at_ms: int

    def filled(self, cursor: Cursor, asked: Asked) -> Plan:
        """The same plan with tables in memory that hold the tiles of the keys asked."""
        views, tags = list(self.widths), {view: digest_texts(keys) for view, keys in asked.items() if view in self.widths}
        wanted = [self._wanted(place, [tags.get(views[lot]) for lot in part.lots]) for place, part in enumerate(self.parts)]
        if not sum(len(some.a) for some in wanted):
            return self
        parts = []
        for part, some, (places, states) in zip(self.parts, wanted, _find(cursor, wanted), strict=True):
            index, rows = memory_table(some.a[places], some.b[places], states)
            parts.append(part._replace(older_index=index, older_rows=rows, n_older=len(part.depth)))
        return Plan(self.widths, parts)

    def _wanted(self, place: int, tags: Sequence[tuple[Tags, Tags, object] | None]) -> _Wanted:
        """The tiles that a part reads, given the digests of the keys asked of each of its sets."""
        part, shelf = self.parts[place], self.shelves[place]
        first_ms = shelf.oldest_ms(self.at_ms)
        reached_ms = np.arange(first_ms, first_ms + shelf.longest_ms + 1, shelf.bucket_ms) + _reach_ms(shelf)
        a, b = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.uint64)]
        for of_set, told in enumerate(tags):
            if told is not None:
                present = np.asarray(told[2], dtype=np.bool_)
                a.append((told[0][present][:, None] ^ part.of_first[of_set]).ravel())
                b.append(((told[1][present][:, None] ^ part.of_second[of_set]) | _ODD).ravel())
        first, second = np.concatenate(a), np.concatenate(b)
        return _Wanted(shelf.layout.width, np.tile(reached_ms, len(first) // len(reached_ms)), first, second)


def _reach_ms(shelf: Shelf) -> int:
    """How long after its bucket's start a window still reaches a tile."""
    return shelf.longest_ms + shelf.bucket_ms


def _columns(wanted: Sequence[_Wanted]) -> tuple[object, object]:
    until_ms, a, b = (np.concatenate([getattr(some, name) for some in wanted]) for name in ("until_ms", "a", "b"))
    return int8s(until_ms), uuids(a, b)


def _find(cursor: Cursor, wanted: Sequence[_Wanted]) -> Iterator[tuple[Ints, Floats]]:
    """Of each lot the places of those that are there, and their (found, width) states; in one statement."""
    told, states = cursor.execute(_FIND, _columns(wanted)).fetchone()
    found, begin, n_bytes = whole_numbers(told, 4) - 1, 0, 0
    for some in wanted:
        places = found[np.searchsorted(found, begin) : np.searchsorted(found, begin + len(some.a))] - begin
        end = n_bytes + 8 * some.width * len(places)
        yield places, floats(states[n_bytes:end], some.width)
        begin, n_bytes = begin + len(some.a), end


def _empty_table(shelf: Shelf, _generation: int) -> tuple[Tags, Tags]:
    return np.zeros(1, dtype=np.uint64), np.zeros((1, STATE + shelf.layout.width), dtype=np.uint64)
