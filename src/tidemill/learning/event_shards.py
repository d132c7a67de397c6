"""Events put in order by place: spread over shards, in memory or on disk, each of which is then sorted by itself.

```
 events, in any order ──► shard of their place ──► held in memory ──more than fits──► one file for all shards
                                                        │                                   │
                          shard 0, shard 1, ...  ◄──────┴───────────────────────────────────┘
                          sorted one by one, some at a time; one that is too long to be sorted at once is spread again
```
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import mkstemp

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.kernels import Ints, order_rows, spread_rows

PLACE, TIED = "place", "tied"  # the columns they are ordered by: at one place by the other
_SHARDS = 256
_Sort = tuple[Callable[[], pa.RecordBatch], int]  # what sorts some of the events, and the place before which all have come then


@dataclass
class Shards:
    """Events of the places `begin:end`.

    Args:
        begin: the first place.
        end: the one after the last.
        unit: how many places stay together where that is possible: those of a key.
        folder: where to put what does not fit.
        memory_mb: how much is held in memory; a shard that is spread again takes as much once more.
        at_once: how many rows are sorted at once; more only where all are at one place.
    """

    begin: int
    end: int
    unit: int
    folder: Path
    memory_mb: float
    at_once: int
    _held: list[list[pa.RecordBatch]] = field(init=False, default_factory=lambda: [[] for _ in range(_SHARDS)])
    _held_bytes: int = field(init=False, default=0)
    _spilled: list[Path] = field(init=False, default_factory=list)
    _rows: Ints = field(init=False, default_factory=lambda: np.zeros(_SHARDS, dtype=np.int64))

    def add(self, batch: pa.RecordBatch) -> None:
        """Spread some more events."""
        order, edges = spread_rows(_column(batch, PLACE), self.begin, self._width, _SHARDS)
        # Arrow's own pool asks for huge pages. These are held until the end, so each is new, and a virtual machine may be slow to give it.
        spread = pc.take(batch, pa.array(order), boundscheck=False, memory_pool=pa.system_memory_pool())
        count = np.diff(edges)
        for number in np.flatnonzero(count).tolist():
            self._held[number].append(spread.slice(int(edges[number]), int(count[number])))
        self._rows += count
        self._held_bytes += spread.nbytes
        if self._held_bytes > self.memory_mb * 1e6:
            self._spill(batch.schema)

    def ordered(self, pool: Executor, ahead: int) -> Iterator[tuple[pa.RecordBatch, int]]:
        """All of them by place, ties by `TIED`, each batch with the place before which all have come; to be called once.

        Args:
            pool: what sorts them.
            ahead: how many batches are sorted ahead of the one that is taken.
        """
        sorting: deque[tuple[Future[pa.RecordBatch], int]] = deque()
        for sort, end in self._sorts():
            sorting.append((pool.submit(sort), end))
            if len(sorting) > ahead:
                batch, before = sorting.popleft()
                yield batch.result(), before
        for batch, before in sorting:
            yield batch.result(), before

    def _sorts(self) -> Iterator[_Sort]:
        for number in np.flatnonzero(self._rows).tolist():
            begin, end = self.begin + number * self._width, self.begin + (number + 1) * self._width
            if self._rows[number] <= self.at_once or self._width == 1:
                yield partial(self._sorted, number), end
            else:
                finer = replace(self, begin=begin, end=end)
                for batch in self._of(number):
                    finer.add(batch)
                yield from finer._sorts()

    def _sorted(self, number: int) -> pa.RecordBatch:
        events = pa.concat_batches(self._of(number))
        return events.take(pa.array(order_rows(_column(events, PLACE), _column(events, TIED))))

    @property
    def _width(self) -> int:
        places = self.end - self.begin
        unit = self.unit if places >= self.unit * _SHARDS else 1
        return -(-places // (unit * _SHARDS)) * unit

    def _of(self, number: int) -> Iterator[pa.RecordBatch]:
        for path in self._spilled:
            with pa.OSFile(str(path)) as file:
                yield pa.ipc.open_file(file).get_batch(number)
        yield from self._held[number]

    def _spill(self, schema: pa.Schema) -> None:
        handle, name = mkstemp(dir=self.folder)
        with open(handle, "wb") as file, pa.ipc.new_file(file, schema) as written:
            for batches in self._held:
                written.write_batch(pa.concat_batches(batches or [pa.RecordBatch.from_pylist([], schema)]))
                batches.clear()
        self._spilled.append(Path(name))
        self._held_bytes = 0


def _column(events: pa.RecordBatch, name: str) -> Ints:
    return np.require(events.column(name).to_numpy(), requirements="W")
