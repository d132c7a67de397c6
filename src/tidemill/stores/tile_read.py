"""Reading tiles: a plan for each set of views and each time, made once, then the tiles of whatever keys are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from tidemill.features import View
from tidemill.kernels import Floats, Ints, Tags, TilePlan, append_plan, list_plan, read_tiles, tile_tags
from tidemill.stores.digests import HASH_KEYS
from tidemill.stores.shelves import SetNumbers, Shelf, TileSet

Parts = list[tuple[Shelf, TilePlan]]
TableOf = Callable[[Shelf, int], tuple[Tags, Tags]]  # the index and the rows of a generation of a shelf


@dataclass(frozen=True)
class Plan:
    """How views are read at one time.

    Args:
        widths: by view, how many features it has.
        parts: one for each shelf and shape, as `read_tiles` takes them; empty when no tile may be read.
    """

    widths: Mapping[str, int]
    parts: Sequence[TilePlan]

    def read(self, asked: Mapping[str, Sequence[str | None]]) -> dict[str, Floats]:
        """By view, the (width, n_keys) values of the keys asked of all or some of the views."""
        lots = [asked.get(view, ()) for view in self.widths]
        ends = np.array([0, *accumulate(map(len, lots))])
        if self._compiled is None:
            values = np.full(int(self._widths @ np.diff(ends)), np.nan)
        else:
            letters = [None if key is None else key.encode() for keys in lots for key in keys]
            lengths = np.array([-1 if key is None else len(key) for key in letters], dtype=np.int64)
            joined = np.frombuffer(b"".join(filter(None, letters)) or b"\0", dtype=np.uint8)
            values = read_tiles(self._compiled, (joined, lengths), HASH_KEYS, (ends, self._widths))
        found, end = {}, 0
        for (view, width), keys in zip(self.widths.items(), lots, strict=True):
            begin, end = end, end + width * len(keys)
            if view in asked:
                found[view] = values[begin:end].reshape(width, len(keys))
        return found

    @cached_property
    def _compiled(self) -> Sequence[TilePlan] | None:
        parts: MutableSequence[TilePlan] | None = None
        for part in self.parts:
            if parts is None:
                parts = list_plan(part)
            else:
                append_plan(parts, part)
        return parts

    @cached_property
    def _widths(self) -> Ints:
        return np.array(list(self.widths.values()), dtype=np.int64)


def make_parts(
    shelves: Sequence[Shelf], views: Sequence[View], numbers: SetNumbers, table_of: TableOf, at_ms: int
) -> list[tuple[Shelf, TilePlan]]:
    """What a plan is made of that reads every tile set of these views that has a number, with the shelf of each part."""
    planner = _Planner({view.name: view.feature_columns for view in views}, numbers, table_of, at_ms)
    return [(shelf, planner.part(shelf, sets)) for shelf in shelves for sets in planner.alike(shelf)]


@dataclass(frozen=True)
class _Planner:
    """What the parts of a plan are made of: the columns of its views, the sets that may be read, where tables are, the time."""

    columns: Mapping[str, Sequence[str]]
    numbers: SetNumbers
    table_of: TableOf
    at_ms: int

    def alike(self, shelf: Shelf) -> Iterable[list[TileSet]]:
        """The sets of a shelf that are to be read, those of one shape together."""
        alike: dict[tuple[object, ...], list[TileSet]] = {}
        for tiles in shelf.sets:
            if tiles.view.name in self.columns and tiles.name in self.numbers:
                alike.setdefault(tiles.shape, []).append(tiles)
        return alike.values()

    def part(self, shelf: Shelf, sets: Sequence[TileSet]) -> TilePlan:
        """How sets of one shape are read."""
        features = list(sets[0].features.values())
        windows_ms = sorted({feature.window_ms for feature in features}, reverse=True)
        first_ms, span_ms = shelf.oldest_ms(self.at_ms), shelf.generations.span_ms
        last_ms, generation = first_ms + shelf.longest_ms, first_ms // span_ms
        starts_ms = np.arange(first_ms, last_ms + 1, shelf.bucket_ms)
        places = list(self.columns)
        return TilePlan(
            *self.table_of(shelf, generation),
            *self.table_of(shelf, generation + 1),
            int(np.searchsorted(starts_ms, (generation + 1) * span_ms)),
            *tile_tags(starts_ms, np.array([self.numbers[tiles.name] for tiles in sets], dtype=np.uint64)),
            depth=np.searchsorted(np.negative(windows_ms), starts_ms - last_ms, side="right"),
            merges=shelf.layout.merges,
            neutral=shelf.neutral,
            reads=shelf.layout.reads(features, windows_ms),
            lots=np.array([places.index(tiles.view.name) for tiles in sets]),
            columns=np.array([[self.columns[tiles.view.name].index(column) for column in tiles.columns] for tiles in sets]),
        )
