"""What events bring to the tiles: summed up by tile, before it is known what the tiles hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tidemill.events import EventBatch
from tidemill.features import View, make_keys
from tidemill.kernels import Floats, Ints, Tags, group_events
from tidemill.stores.key_tags import KeyTags, lots_of
from tidemill.stores.shelves import SetNumbers, Shelf


@dataclass(frozen=True)
class TileSums:
    """One row for each tile that a batch touches: (g,) tags and bucket starts, (g, width) what the batch adds."""

    a: Tags
    b: Tags
    starts_ms: Ints
    states: Floats

    def by_generation(self, span_ms: int) -> Iterator[tuple[int, TileSums]]:
        """Those of each generation of buckets; most batches fall into one."""
        if not len(self.starts_ms):
            return
        generations = self.starts_ms // span_ms
        if (generations == generations[0]).all():
            yield int(generations[0]), self
            return
        for generation in np.unique(generations).tolist():
            mine = generations == generation
            yield generation, TileSums(self.a[mine], self.b[mine], self.starts_ms[mine], self.states[mine])


def sum_events(shelves: Sequence[Shelf], batch: EventBatch, known_at_ms: int, numbers: SetNumbers) -> Iterator[tuple[Shelf, TileSums]]:
    """What a batch adds to the tiles of each shelf, once everything up to `known_at_ms` is taken.

    Args:
        shelves: of the batch's stream; sets without a number take nothing.
        batch: the events.
        known_at_ms: tiles that no window can reach at this time or later are left out.
        numbers: of the tile sets.
    """
    taking = [shelf.only(sets) for shelf in shelves if (sets := [tiles for tiles in shelf.sets if tiles.name in numbers])]
    if taking:
        summed = _Batch(batch, taking, numbers)
        for shelf in taking:
            yield shelf, summed.sums(shelf, shelf.oldest_ms(known_at_ms))


class _Batch:
    """A batch that several shelves sum up; what they share is done once.

    Args:
        batch: the events.
        shelves: of the batch's stream.
        numbers: of the tile sets; sets without one take nothing.
    """

    def __init__(self, batch: EventBatch, shelves: Sequence[Shelf], numbers: SetNumbers) -> None:
        views = list({tiles.view.name: tiles.view for shelf in shelves for tiles in shelf.sets}.values())
        self._columns = batch.columns(frozenset[str]().union(*(view.fields_read.union(view.entity_fields) for view in views)))
        self._batch = batch
        self._times_ms = np.require(batch.event_time_ms, requirements="W")  # the lake's are not, and kernels know one kind of arrays
        self._numbers = numbers
        entities = {view.entity_fields for view in views}
        tags, places = lots_of({fields: make_keys([self._columns[name] for name in fields]) for fields in entities})
        # Views that sum up the same events by the same keys share a line.
        told: dict[object, KeyTags] = {}
        for view in views:
            own = tags.rows(places[view.entity_fields])
            if _who(view) not in told:  # an event that a view does not count is spared a tile
                told[_who(view)] = own if view.where is None else replace(own, present=own.present & view.counts(self._columns))
        self._line_of = {who: line for line, who in enumerate(told)}
        first, second, present = zip(*((one.first, one.second, one.present) for one in told.values()), strict=True)
        self._keys = np.stack(first), np.stack(second), np.stack(present)
        self._lifted: dict[object, Floats] = {}

    def sums(self, shelf: Shelf, oldest_ms: int) -> TileSums:
        """What the batch adds to the tiles of a shelf, but for buckets before `oldest_ms`."""
        signature = shelf.layout.signature
        if signature not in self._lifted:
            self._lifted[signature] = shelf.layout.lift(self._columns, self._batch.event_time_ms, self._batch.event_ids)
        sets = (
            np.array([self._line_of[_who(tiles.view)] for tiles in shelf.sets], dtype=np.int64),
            np.array([self._numbers[tiles.name] for tiles in shelf.sets], dtype=np.uint64),
        )
        sizes_ms = np.array([shelf.bucket_ms, oldest_ms], dtype=np.int64)
        return TileSums(*group_events(self._times_ms, sizes_ms, self._keys, sets, shelf.layout.merges, self._lifted[signature]))


def _who(view: View) -> object:
    return view.entity_fields, None if view.where is None else view.where.text
