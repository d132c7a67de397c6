"""Tiles in SQL: merged when events are applied, read for many keys at once with the position they stand at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Engine, insert, select

from tidemill.errors import NotFoundError
from tidemill.events import Columns, EventBatch
from tidemill.features import Feature, Layout, TileRows, View, feature_values, floor_ms
from tidemill.features.aggregates import Floats
from tidemill.stores.sqlite import Cursor, reading_cursor
from tidemill.stores.state_tables import TILE_SET
from tidemill.streams import Position

_READ = "select start_ms, state from tile where set_id = ? and key = ? and start_ms between ? and ?"
_WRITE = (
    "insert into tile (set_id, key, start_ms, state) values (?, ?, ?, ?) "
    "on conflict (set_id, key, start_ms) do update set state = excluded.state"
)
_POSITION = "select token, known_at_ms from position"
_ONE = "select state from tile where set_id = ? and key = ? and start_ms = ?"


@dataclass(frozen=True)
class Lookup:
    """The keys to read of one view; a None key reads as an entity without events."""

    view: str
    keys: Sequence[str | None]


@dataclass(frozen=True)
class Reading:
    """What was read in one transaction.

    Args:
        position: what the tiles had taken.
        known_at_ms: the `known_at` of the last event taken.
        values: by column (`view__feature`), (n_keys,) float64 with NaN for missing.
    """

    position: Position
    known_at_ms: int
    values: Mapping[str, Floats]


@dataclass(frozen=True)
class _TileSet:
    """The tiles of one view and bucket size; sets of one `shape` are read and merged together."""

    set_id: int
    view: View
    bucket_ms: int
    layout: Layout
    features: Mapping[str, Feature]
    columns: Sequence[str]
    shape: tuple[object, ...]
    longest_ms: int


class TileStore:
    """The tiles of all views in the `tile` table of the state's database."""

    def __init__(self, engine: Engine, views: Sequence[View]) -> None:
        self._engine = engine
        self._sets: dict[str, list[_TileSet]] = {}
        with engine.begin() as connection:
            for view in views:
                self._sets[view.name] = [self._tile_set(connection, view, size, layout) for size, layout in view.layouts.items()]
        self._alike: dict[str, list[list[_TileSet]]] = {}
        for view in views:
            self._alike.setdefault(view.stream.name, [])
        for stream, groups in self._alike.items():
            by_layout: dict[tuple[object, ...], list[_TileSet]] = {}
            for tiles in (tiles for sets in self._sets.values() for tiles in sets if tiles.view.stream.name == stream):
                by_layout.setdefault((tiles.bucket_ms, tiles.layout.signature), []).append(tiles)
            groups.extend(by_layout.values())

    def apply(self, cursor: Cursor, applied: Mapping[str, EventBatch]) -> None:
        """Merge the events of each stream into the tiles of its views, within the caller's transaction."""
        rows: list[tuple[int, str, int, bytes]] = []
        for stream, groups in self._alike.items():
            if stream in applied:
                columns = _columns([tiles for alike in groups for tiles in alike], applied[stream])
                for alike in groups:
                    rows.extend(_merged(cursor, alike, applied[stream], columns))
        cursor.executemany(_WRITE, rows)

    def refill(self, cursor: Cursor, view: str, batch: EventBatch | None) -> None:
        """Replace a view's tiles by those of a batch, within the caller's transaction."""
        for tiles in self._known(view):
            cursor.execute("update tile_set set whole = 1 where id = ?", (tiles.set_id,))
            cursor.execute("delete from tile where set_id = ?", (tiles.set_id,))
            if batch is not None:
                cursor.executemany(_WRITE, _merged(cursor, [tiles], batch, _columns([tiles], batch)))

    def partial(self) -> list[str]:
        """The views that were declared or changed after the first event and not filled since: they know only what came later."""
        with reading_cursor(self._engine) as cursor:
            missing = {row[0] for row in cursor.execute("select id from tile_set where not whole")}
        return [name for name, sets in self._sets.items() if any(tiles.set_id in missing for tiles in sets)]

    def read(self, lookups: Sequence[Lookup], at_ms: int) -> Reading:
        """Values for many keys at one time, with the position, in one read transaction.

        Raises:
            NotFoundError: no such view.
        """
        by_shape: dict[tuple[object, ...], list[tuple[_TileSet, Sequence[str | None]]]] = {}
        places: dict[str, list[int]] = {}
        for lookup in lookups:
            place_of = {key: place for place, key in enumerate(dict.fromkeys(lookup.keys))}
            places[lookup.view] = [place_of[key] for key in lookup.keys]
            for tiles in self._known(lookup.view):
                by_shape.setdefault(tiles.shape, []).append((tiles, list(place_of)))
        values: dict[str, Floats] = {}
        with reading_cursor(self._engine) as cursor:
            token, known_at_ms = cursor.execute(_POSITION).fetchone()
            for alike in by_shape.values():
                rows = _tile_rows(cursor, alike, at_ms)
                values.update(_spread(alike, feature_values(list(alike[0][0].features.values()), rows, at_ms), places))
        return Reading(Position.from_token(token), known_at_ms, values)

    def expire(self, cursor: Cursor, known_at_ms: int) -> None:
        """Delete tiles past their view's retention, within the caller's transaction."""
        for tiles in (tiles for sets in self._sets.values() for tiles in sets):
            cursor.execute("delete from tile where set_id = ? and start_ms < ?", (tiles.set_id, known_at_ms - tiles.view.retention_ms))

    def _known(self, view: str) -> list[_TileSet]:
        if view not in self._sets:
            raise NotFoundError("view", view, tuple(self._sets))
        return self._sets[view]

    def _tile_set(self, connection: Connection, view: View, bucket_ms: int, layout: Layout) -> _TileSet:
        wanted = {"view": view.name, "bucket_ms": bucket_ms, "digest": view.digest}
        set_id = connection.execute(select(TILE_SET.c.id).filter_by(**wanted)).scalar()
        if set_id is None:
            whole = connection.exec_driver_sql(_POSITION).one()[0] == Position({}).token
            set_id = connection.execute(insert(TILE_SET).values(**wanted, whole=whole).returning(TILE_SET.c.id)).scalar_one()
        features = {name: feature for name, feature in view.features.items() if feature.bucket_ms == bucket_ms}
        shape = (bucket_ms, layout.signature, tuple((feature.slot, feature.window_ms) for feature in features.values()))
        longest_ms = max(feature.window_ms for feature in features.values())
        return _TileSet(set_id, view, bucket_ms, layout, features, [view.column(name) for name in features], shape, longest_ms)


def _columns(sets: Iterable[_TileSet], batch: EventBatch) -> Columns:
    return batch.columns(frozenset[str]().union(*(tiles.view.fields_read.union(tiles.view.entity_fields) for tiles in sets)))


def _merged(cursor: Cursor, alike: Sequence[_TileSet], batch: EventBatch, columns: Columns) -> list[tuple[int, str, int, bytes]]:
    """The rows to write when a batch meets the stored tiles of several sets of one bucket size and layout."""
    first = alike[0]
    lifted = first.layout.lift(columns, len(batch.events))
    starts = (batch.event_time_ms // first.bucket_ms * first.bucket_ms).tolist()
    groups: list[tuple[int, str, int]] = []
    places: list[int] = []
    for tiles in alike:
        for place, key in enumerate(tiles.view.keys(columns)):
            if key is not None:
                groups.append((tiles.set_id, key, starts[place]))
                places.append(place)
    merged = first.layout.merge(lifted[places], groups)
    old = _existing(cursor, merged)
    if old:
        merged |= first.layout.merge(np.vstack([*(merged[group] for group in old), *old.values()]), [*old, *old])
    return [(*group, state.tobytes()) for group, state in merged.items()]


def _existing(cursor: Cursor, groups: Iterable[tuple[int, str, int]]) -> dict[tuple[int, str, int], Floats]:
    found = [(group, cursor.execute(_ONE, group).fetchone()) for group in groups]
    return {group: np.frombuffer(row[0]) for group, row in found if row is not None}


def _tile_rows(cursor: Cursor, alike: list[tuple[_TileSet, Sequence[str | None]]], at_ms: int) -> TileRows:
    first = alike[0][0]
    last_ms = floor_ms(at_ms, first.bucket_ms)
    rows: list[tuple[int, bytes]] = []
    lengths: list[int] = []
    for tiles, keys in alike:
        first_ms = last_ms - tiles.longest_ms
        for key in keys:
            found = [] if key is None else cursor.execute(_READ, (tiles.set_id, key, first_ms, last_ms)).fetchall()
            rows += found
            lengths.append(len(found))
    starts, blobs = zip(*rows, strict=True) if rows else ((), ())
    states = np.frombuffer(b"".join(blobs)).reshape(-1, first.layout.width)
    return TileRows(first.layout, np.array(starts, dtype=np.int64), states, np.array(lengths, dtype=np.int64))


def _spread(alike: list[tuple[_TileSet, Sequence[str | None]]], values: Floats, places: Mapping[str, list[int]]) -> dict[str, Floats]:
    """Give (all distinct keys, features) values back to the columns of each view, in the order its keys were asked."""
    columns: dict[str, Floats] = {}
    begin = 0
    for tiles, keys in alike:
        mine = values[begin : begin + len(keys)][places[tiles.view.name]].T
        columns.update(zip(tiles.columns, mine, strict=True))
        begin += len(keys)
    return columns
