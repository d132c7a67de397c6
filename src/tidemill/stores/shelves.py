"""How tiles are arranged: sets of one bucket size, layout and longest window share their tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tidemill.features import Feature, Layout, View
from tidemill.kernels import Floats
from tidemill.stores.generations import Generations

SetNumbers = Mapping[tuple[str, int], int]  # by view and bucket size; what tells the tiles of sets apart
NO_BUCKET = 0  # the rows of a table are a set under its name and this size


@dataclass(frozen=True)
class TileSet:
    """The tiles of one view and bucket size, as the project file defines them.

    Args:
        view: whose.
        bucket_ms: how long a tile is.
        layout: what its rows of numbers hold.
        features: those that are read from rows, by name.
        sketches: those that are read from sketches, by name.
    """

    view: View
    bucket_ms: int
    layout: Layout
    features: Mapping[str, Feature]
    sketches: Mapping[str, Feature]

    @property
    def name(self) -> tuple[str, int]:
        """Its view and bucket size."""
        return self.view.name, self.bucket_ms

    @cached_property
    def longest_ms(self) -> int:
        """Its longest window."""
        return max(feature.window_ms for feature in self.features.values())

    @cached_property
    def columns(self) -> list[str]:
        """What a vector calls its features."""
        return [self.view.column(name) for name in self.features]

    @cached_property
    def shape(self) -> tuple[object, ...]:
        """Sets of one shape are read together."""
        return tuple((feature.slot, feature.window_ms) for feature in self.features.values())


@dataclass(frozen=True)
class Shelf:
    """Tile sets of one stream whose tiles lie in the same tables, told apart by the numbers of the sets."""

    sets: Sequence[TileSet]
    layout: Layout
    bucket_ms: int
    longest_ms: int
    generations: Generations

    @property
    def stream(self) -> str:
        """Whose events it takes."""
        return self.sets[0].view.stream.name

    @cached_property
    def neutral(self) -> Floats:
        """(width,) the row of a tile without events."""
        row: Floats = self.layout.neutral(1)[0]
        return row

    def only(self, sets: Sequence[TileSet]) -> Shelf:
        """The shelf with some of its sets."""
        return self if len(sets) == len(self.sets) else replace(self, sets=sets)

    def oldest_ms(self, at_ms: int) -> int:
        """The first bucket that a window can reach at a time or later."""
        return at_ms // self.bucket_ms * self.bucket_ms - self.longest_ms


def tile_sets(views: Iterable[View]) -> list[TileSet]:
    """The tile sets of these views."""
    sets = []
    for view in views:
        for size in sorted({feature.bucket_ms for feature in view.features.values()}):
            rows = {name: feature for name, feature in view.row_features.items() if feature.bucket_ms == size}
            sketches = {name: feature for name, feature in view.sketches if feature.bucket_ms == size}
            sets.append(TileSet(view, size, Layout.of(list(rows.values())), rows, sketches))
    return sets


def shelve(sets: Iterable[TileSet]) -> list[Shelf]:
    """The shelves of these sets; one that has sketches only stands on none."""
    alike: dict[tuple[object, ...], list[TileSet]] = {}
    for tiles in (tiles for tiles in sets if tiles.features):
        alike.setdefault((tiles.view.stream.name, tiles.bucket_ms, tiles.longest_ms, tiles.layout.signature), []).append(tiles)
    return [_shelf(shape, members) for shape, members in alike.items()]


def _shelf(shape: tuple[object, ...], members: Sequence[TileSet]) -> Shelf:
    first = members[0]
    name = f"tiles.{hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:12]}"
    generations = Generations(name, first.longest_ms + first.bucket_ms, first.layout.width)
    return Shelf(members, first.layout, first.bucket_ms, first.longest_ms, generations)
