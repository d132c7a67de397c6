"""Tiles that are sketches: their states grow with what they have seen, so each is a row of SQL, beside the position it stands at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tidemill.events import EventBatch
from tidemill.features import Feature, View, floor_ms
from tidemill.features.expressions import Expression
from tidemill.features.sketch import Sketch
from tidemill.kernels import Floats
from tidemill.stores.cursors import Cursor
from tidemill.stores.shelves import SetNumbers, TileSet, tile_sets

# Run for every tile: plain SQL with bound parameters, as building it anew with Core costs more than running it.
_ONE = "select state from sketch where set_number = ? and slot = ? and key = ? and start_ms = ?"
_WINDOW = "select start_ms, state from sketch where set_number = ? and slot = ? and key = ? and start_ms between ? and ?"
_WRITE = (
    "insert into sketch (set_number, slot, key, start_ms, state) values (?, ?, ?, ?, ?) "
    "on conflict (set_number, slot, key, start_ms) do update set state = excluded.state"
)
_OLD = "select slot, key, start_ms from sketch where set_number = ? and start_ms < ? limit ?"
_DROP = "delete from sketch where set_number = ? and slot = ? and key = ? and start_ms = ?"
_EXPIRED_AT_ONCE = 2_000  # a commit gives room back by and by, and never stalls for it


@dataclass(frozen=True)
class _Slot:
    """What several features of one set and bucket size share: one sketch a tile."""

    tiles: TileSet
    text: str
    sketch: Sketch
    expression: Expression
    features: Mapping[str, Feature]
    longest_ms: int


class SketchStore:
    """The sketches of all views, in the `sketch` table of the state's database; every call is part of the caller's transaction."""

    def __init__(self, views: Sequence[View]) -> None:
        self._slots = [slot for tiles in tile_sets(views) for slot in _slots(tiles)]

    def write(self, cursor: Cursor, applied: Mapping[str, EventBatch], known_at_ms: int, numbers: SetNumbers) -> None:
        """Merge events into the sketches of the sets that have a number; those that no window can reach any more are left out."""
        for slot in self._slots:
            batch, number = applied.get(slot.tiles.view.stream.name), numbers.get(slot.tiles.name)
            if batch is None or number is None:
                continue
            oldest_ms = floor_ms(known_at_ms, slot.tiles.bucket_ms) - slot.longest_ms
            rows = []
            for key, start_ms, state in _grouped(slot, batch, oldest_ms):
                place = (number, slot.text, key, start_ms)
                found = cursor.execute(_ONE, place).fetchone()
                rows.append((*place, state if found is None else slot.sketch.merge([found[0], state])))
            cursor.executemany(_WRITE, rows)

    def expire(self, cursor: Cursor, known_at_ms: int, numbers: SetNumbers) -> None:
        """Delete some of the sketches that no window reaches any more."""
        oldest: dict[int, int] = {}
        for slot in self._slots:
            if slot.tiles.name in numbers:
                number, start_ms = numbers[slot.tiles.name], floor_ms(known_at_ms, slot.tiles.bucket_ms) - slot.longest_ms
                oldest[number] = min(start_ms, oldest.get(number, start_ms))
        for number, start_ms in oldest.items():
            old = cursor.execute(_OLD, (number, start_ms, _EXPIRED_AT_ONCE)).fetchall()
            cursor.executemany(_DROP, [(number, *place) for place in old])

    def read(self, cursor: Cursor, asked: Mapping[str, Sequence[str | None]], at_ms: int, numbers: SetNumbers) -> dict[str, Floats]:
        """By column, (n_keys,) values of the sketches of these views; NaN where the set may not be read."""
        columns: dict[str, Floats] = {}
        for slot in self._slots:
            view = slot.tiles.view
            keys = asked.get(view.name)
            if keys is None:
                continue
            number = numbers.get(slot.tiles.name)
            values = np.full((len(slot.features), len(keys)), np.nan)
            if number is not None:
                for place, key in enumerate(keys):
                    values[:, place] = _values(cursor, slot, (number, key), at_ms)
            columns |= zip((view.column(name) for name in slot.features), values, strict=True)
        return columns


def _slots(tiles: TileSet) -> Iterator[_Slot]:
    by_slot: dict[tuple[str, str], dict[str, Feature]] = {}
    for name, feature in tiles.sketches.items():
        by_slot.setdefault(feature.slot, {})[name] = feature
    for (kind, expression), features in by_slot.items():
        first = next(iter(features.values()))
        assert isinstance(first.aggregate, Sketch) and first.expression is not None
        longest_ms = max(feature.window_ms for feature in features.values())
        yield _Slot(tiles, f"{kind} of {expression}", first.aggregate, first.expression, features, longest_ms)


def _grouped(slot: _Slot, batch: EventBatch, oldest_ms: int) -> Iterator[tuple[str, int, bytes]]:
    """What a batch brings to each tile: key, bucket start, state."""
    view = slot.tiles.view
    columns = batch.columns(slot.expression.names.union(view.entity_fields))
    codes = slot.sketch.codes(slot.expression.read(columns))
    starts_ms = batch.event_time_ms // slot.tiles.bucket_ms * slot.tiles.bucket_ms
    places: dict[tuple[str, int], list[int]] = {}
    for place, (key, start_ms) in enumerate(zip(view.keys(columns), starts_ms.tolist(), strict=True)):
        if key is not None and start_ms >= oldest_ms and codes[place] >= 0:
            places.setdefault((key, start_ms), []).append(place)
    for (key, start_ms), mine in places.items():
        yield key, start_ms, slot.sketch.of(codes[mine])


def _values(cursor: Cursor, slot: _Slot, place: tuple[int, str | None], at_ms: int) -> list[float]:
    """The value of each of the slot's features for one key."""
    number, key = place
    last_ms = floor_ms(at_ms, slot.tiles.bucket_ms)
    tiles = [] if key is None else cursor.execute(_WINDOW, (number, slot.text, key, last_ms - slot.longest_ms, last_ms)).fetchall()
    values = []
    for feature in slot.features.values():
        sketch = feature.aggregate
        assert isinstance(sketch, Sketch)
        states = [state for start_ms, state in tiles if start_ms >= last_ms - feature.window_ms]
        values.append(sketch.value(sketch.merge(states) if states else sketch.neutral))
    return values
