"""What has been fetched of one partition and not given out yet, and which of it is next in time among several partitions.

```
 partition 0:   10  20  30  40 │ more to come        in the order in which they became known: 10 15 20 25 30 40
 partition 1:   15  25  50  60 │ all there is        50 must wait: what comes next in partition 0 may be of 45
```
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tidemill.streams import Mark

Row = tuple[str, str, int, int, str]


@dataclass
class Partition:
    """One partition of a stream, read on from where it stands.

    Args:
        stream: whose.
        name: a number, as text.
        offset: of the last event given out, as positions count it: what Kafka calls the next one.
        mark: beside it.
    """

    stream: str
    name: str
    offset: int
    mark: Mark
    _known_at_ms: list[int] = field(default_factory=list)
    _offsets: list[int] = field(default_factory=list)
    _payloads: list[str] = field(default_factory=list)
    _traces: dict[int, str] = field(default_factory=dict)  # by offset

    def __len__(self) -> int:
        """How many events wait."""
        return len(self._offsets)

    def add(
        self, stamps_ms: Sequence[int], offsets: Sequence[int], payloads: Sequence[str], traces: Mapping[int, str] | None = None
    ) -> None:
        """Take what was fetched next; a stamp below the last is raised to it.

        Clocks of brokers are set back, and partitions move to brokers that are slow. As the mark holds the last `known_at`, whoever reads
        on from a position raises as those did who came by before.
        """
        last_ms = self._known_at_ms[-1] if self._known_at_ms else self.mark.known_at_ms
        self._known_at_ms += np.maximum.accumulate([last_ms, *stamps_ms])[1:].tolist()
        self._offsets += offsets
        self._payloads += payloads
        self._traces |= traces or {}

    def up_to(self, offset: int) -> int:
        """How many of those that wait are taken by a position that has this offset."""
        return bisect_right(self._offsets, offset)

    def known_at_ms(self, n: int) -> list[int]:
        """When the next n became known."""
        return self._known_at_ms[:n]

    def take(self, n: int, fetched: int | None, until: int | None) -> list[Row]:
        """Give out the next n, and pass what holds no event behind them.

        Args:
            n: how many.
            fetched: up to which offset everything was fetched, if that is known.
            until: the offset not to pass, if there is one.
        """
        rows = [(self.stream, self.name, *row) for row in zip(self._offsets[:n], self._known_at_ms[:n], self._payloads[:n], strict=True)]
        if n:
            self.mark = Mark(self._known_at_ms[n - 1], self.mark.events + n)
            self.offset = self._offsets[n - 1]
            for column in (self._known_at_ms, self._offsets, self._payloads):
                del column[:n]
        if n and not self._offsets and fetched is not None:
            self.offset = max(self.offset, fetched if until is None else min(fetched, until))
        return rows

    def traces(self) -> list[str]:
        """Those by which events were brought that have been given out since it was asked last."""
        return [self._traces.pop(offset) for offset in sorted(self._traces) if offset <= self.offset]


def next_in_time(waiting: Sequence[Sequence[int]], complete: Sequence[bool], limit: int) -> tuple[list[int], list[int]]:
    """Which events are next, over several partitions.

    Args:
        waiting: of each partition when its events that wait became known, rising.
        complete: of each partition whether that is all there is.
        limit: how many at most.

    Returns:
        Of each partition how many, and of each of these events, in order, the number of its partition.

    >>> next_in_time([[10, 20, 30, 40], [15, 25, 50, 60]], [False, True], 100)
    ([4, 2], [0, 1, 0, 1, 0, 0])
    """
    owner = np.repeat(np.arange(len(waiting)), [len(some) for some in waiting])
    order = np.argsort(np.concatenate([np.array(some, dtype=np.int64) for some in waiting]), kind="stable")
    owner = owner[order]
    until = limit
    for number, some in enumerate(waiting):
        if some and not complete[number]:
            until = min(until, int(np.flatnonzero(owner == number)[-1]) + 1)
    owner = owner[:until]
    return np.bincount(owner, minlength=len(waiting)).tolist(), owner.tolist()
