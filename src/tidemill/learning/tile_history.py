"""Tiles as they stood, at every moment that something more of them became known.

```
 tile (key, bucket):   events in the order they became known   e1    e2    e3     e4
                       the running state after each            s1    s12   s123   s1234
 a question that knows up to e3 reads s123 of this tile, and merges it with those of the other tiles of its window
```
So a question costs at most one row a tile of its window, however many events a hot key has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tidemill.features.tiles import Layout
from tidemill.kernels import Floats, Ints, merge_tiles_known, run_up_states
from tidemill.learning.block import Asked, Axis, Events, Runs


class TileHistory:
    """The tiles of one bucket size, with the state of each after each of its events.

    Args:
        layout: what the tiles hold.
        bucket_ms: their size.
        events: at least one, and every one of the tiles that are read.
    """

    def __init__(self, layout: Layout, bucket_ms: int, events: Events) -> None:
        self._layout = layout
        self._bucket_ms = bucket_ms
        bucket = events.at_ms // bucket_ms
        first = int(bucket.min())
        self._axis = Axis(first - 1, int(bucket.max()) - first + 3)  # a free place at both ends
        places = self._axis.places(events.axis.keys(events.place), bucket)
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        self._edges = np.append(starts, len(events))
        self._places = places[starts]
        events = events.rows(_known_order(np.repeat(np.arange(len(starts)), np.diff(self._edges)), events.known))
        self._known = events.known
        self._states = lift(layout, events)
        run_up_states(layout.merges, self._states, starts)

    def read(self, asked: Asked, window_ms: int) -> Floats:
        """(n, width): the merged tiles of each question's window, as known then."""
        merged = self._layout.neutral(len(asked))
        last = asked.at_ms // self._bucket_ms
        begin, end = (self._axis.places(asked.key, bucket) for bucket in (last - window_ms // self._bucket_ms, last + 1))
        runs = Runs.between(self._places, begin, end)
        tiles = (self._states, self._known, self._edges)
        merge_tiles_known(self._layout.merges, tiles, (runs.low, runs.count), asked.known_up_to, merged)
        return merged


def lift(layout: Layout, events: Events) -> Floats:
    """(n, width): each event as a tile of its own."""
    # only what goes by id within a moment goes by the moment, and to find that of every event takes time
    at_ms = events.at_ms if len(events.ids) else np.zeros(len(events), dtype=np.int64)
    return layout.lift(events.fields, at_ms, events.ids.tolist())


def _known_order(tile: Ints, known: Ints) -> Ints:
    """The rows in the order of their tiles, and within a tile in the order they became known; ties stay as they are."""
    order = np.arange(len(tile))
    astray: npt.NDArray[np.bool_] = np.zeros(int(tile[-1]) + 1, dtype=np.bool_)
    astray[tile[1:][(np.diff(known) < 0) & (np.diff(tile) == 0)]] = True
    rows = np.flatnonzero(astray[tile])  # few: most events become known in the order they happen
    order[rows] = rows[np.lexsort((known[rows], tile[rows]))]
    return order
