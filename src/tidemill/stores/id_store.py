"""Which events were applied: the digest of each id with the time until which it counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tidemill.clock import HOUR_MS
from tidemill.errors import JudgedTooEarlyError
from tidemill.events import EventBatch
from tidemill.kernels import GREATEST, Ints, Tags
from tidemill.stores.change_journal import Write
from tidemill.stores.digests import digest_texts
from tidemill.stores.generations import Generations
from tidemill.stores.hash_table import HashTable
from tidemill.stores.sizes import Size, size_of
from tidemill.stores.table_files import TableFiles

_NEVER = -1
_NEUTRAL = np.array([float(_NEVER)])
_LATER = np.array([GREATEST])
_BEHIND_MS = HOUR_MS  # of stream time; a copy that comes later still, from a partition that nobody could read, would be taken for new
_PARTS = 2  # generations that a stream's retention spans: more waste less room, fewer are searched faster


class IdStore:
    """The applied ids of every stream.

    Args:
        files: where the tables lie.
        retention_ms: by stream, how long an id counts after its event's time.
    """

    def __init__(self, files: TableFiles, retention_ms: Mapping[str, int]) -> None:
        self._files = files
        self._retention_ms = dict(retention_ms)
        empty = np.empty(0, dtype=np.uint64)
        self._last: tuple[Sequence[str], Tags, Tags] = ((), empty, empty)
        self._generations = {
            name: Generations(f"ids.{name}.{max(1, kept_ms // _PARTS)}", max(1, kept_ms // _PARTS), width=1)
            for name, kept_ms in self._retention_ms.items()
        }

    def known_until(self, stream: str, event_ids: Sequence[str]) -> Ints:
        """(n,) int64: the time until which each id counts as applied; -1 for one that was not."""
        tags = self._tags(event_ids)
        with self._files.reading() as tables:
            return self._known_until(tables, stream, *tags)

    def check(self, applied: Mapping[str, EventBatch]) -> None:
        """Whether these events may still be applied; only within `TableFiles.writing`.

        They were judged by the tables alone, which follow the database's position a moment later, or once somebody has set them right.

        Raises:
            JudgedTooEarlyError: another engine has applied one of their ids since they were judged.
        """
        for stream, batch in applied.items():
            if (self._known_until(self._files.tables(), stream, *self._tags(batch.event_ids)) >= batch.known_at_ms).any():
                raise JudgedTooEarlyError(f"another engine has applied events of {stream!r} with the same ids meanwhile; judge again")

    def prepare(self, applied: Mapping[str, EventBatch]) -> Iterator[Write]:
        """The rows that these events change, claimed one after another; only within `TableFiles.writing`."""
        for stream, batch in applied.items():
            until_ms = batch.event_time_ms + self._retention_ms[stream]
            yield from self._writes(stream, batch.event_ids, until_ms)

    def expired(self, now_ms: int) -> list[str]:
        """The tables whose ids count no longer, not even for events of a partition that is somewhat behind the others."""
        since_ms = now_ms - _BEHIND_MS
        return [name for stream in self._generations for name in self._tables(self._files.tables(), stream) if _ends_ms(name) < since_ms]

    def sizes(self, now_ms: int) -> list[Size]:
        """The room that the ids of each stream take; their times lie `retention_ms` ahead."""
        tables = self._files.tables()
        return [
            size_of(f"ids of {stream}", kept, kept.among(tables), kept_ms + _BEHIND_MS, now_ms + kept_ms)
            for (stream, kept), kept_ms in zip(self._generations.items(), self._retention_ms.values(), strict=True)
        ]

    def _known_until(self, tables: Mapping[str, HashTable], stream: str, a: Tags, b: Tags) -> Ints:
        until_ms = np.full(len(a), _NEVER, dtype=np.int64)
        for table in self._tables(tables, stream).values():
            rows = table.find(a, b)
            found = np.flatnonzero(rows >= 0)
            if len(found):
                until_ms[found] = np.maximum(until_ms[found], table.states(rows[found])[:, 0].astype(np.int64))
        return until_ms

    def _tables(self, tables: Mapping[str, HashTable], stream: str) -> dict[str, HashTable]:
        """Those of a stream, also of a retention that it had before."""
        return {name: table for name, table in tables.items() if name.startswith(f"ids.{stream}.")}

    def _tags(self, event_ids: Sequence[str]) -> tuple[Tags, Tags]:
        """The digests of ids; those asked for last are kept, as the same ids are looked up and then written."""
        last = self._last
        if last[0] is not event_ids:
            last = self._last = (event_ids, *digest_texts(event_ids)[:2])
        return last[1], last[2]

    def _writes(self, stream: str, event_ids: Sequence[str], until_ms: Ints) -> Iterator[Write]:
        """An id that comes twice within a batch, the second time after it ceased to count, keeps the later time."""
        kept = self._generations[stream]
        a, b = self._tags(event_ids)
        order = np.argsort(a, kind="stable")
        if (a[order][1:] == a[order][:-1]).any():
            firsts = np.flatnonzero(np.append(True, a[order][1:] != a[order][:-1]))
            a, b, until_ms = a[order[firsts]], b[order[firsts]], np.maximum.reduceat(until_ms[order], firsts)
        generations = until_ms // kept.span_ms
        for generation in np.unique(generations).tolist():
            mine = generations == generation
            tags, states = b[mine], until_ms[mine].astype(np.float64)[:, None]
            table = kept.ensure(self._files, generation, len(tags))
            rows, fresh = table.claim(a[mine], tags)
            table.merge_into(states, rows, fresh, _LATER)
            yield Write(table, rows, tags, states, fresh, _NEUTRAL)


def _ends_ms(name: str) -> int:
    kind, _, generation = name.rpartition("@")
    return (int(generation) + 1) * int(kind.rpartition(".")[2])
