"""The upper bound of the engine's benchmark: the same events summed up into the same tiles by the same compiled loops, all in memory.

Texts come from a list instead of a log, ids are a set, tiles are rows of one array a bucket size. Nothing is durable, nothing expires,
nobody else can read it: what is left is the work that no engine is spared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.cards import payments, views
from tidemill.events import EventBatch, EventParser
from tidemill.features import Layout
from tidemill.kernels import STATE, Flags, Floats, Tags, claim_rows, enter_rows, group_events, merge_rows, put_rows
from tidemill.stores.digests import digest_texts

_FIRST_ROWS = 1 << 16


class MemoryEngine:
    """Parses, deduplicates, groups and merges payments in memory."""

    def __init__(self) -> None:
        self._parser = EventParser(payments)
        self._seen: set[str] = set()
        self._entities = [view.entity_fields[0] for view in views]
        self._tables = [_Table(size, layout) for size, layout in views[0].layouts.items()]  # the same in every view

    def apply(self, texts: Sequence[str], known_at_ms: int) -> int:
        """Apply a batch; answers how many events were new."""
        n_rows = len(texts)
        batch = self._parser.parse(texts, np.arange(n_rows), np.full(n_rows, known_at_ms)).batch
        fresh = np.array([event_id not in self._seen for event_id in batch.event_ids])
        self._seen.update(batch.event_ids)
        batch = batch.rows(fresh)
        first, second, present = zip(*(digest_texts(batch.values[entity]) for entity in self._entities), strict=True)
        keys = np.stack(first), np.stack(second), np.stack(present)
        states: dict[object, Floats] = {}
        for table in self._tables:
            signature = table.layout.signature
            if signature not in states:
                states[signature] = table.layout.lift(batch.columns(["amount"]), batch.event_time_ms, batch.event_ids)
            table.merge(batch, keys, states[signature])
        return len(batch)


class _Table:
    """The tiles of one bucket size, of every view."""

    def __init__(self, bucket_ms: int, layout: Layout) -> None:
        self.layout = layout
        self._sizes_ms = np.array([bucket_ms, 0])
        self._sets = np.arange(len(views)), np.arange(len(views), dtype=np.uint64)
        self._used = np.zeros(1, dtype=np.int64)
        self._make(_FIRST_ROWS)

    def merge(self, batch: EventBatch, keys: tuple[Tags, Tags, Flags], states: Floats) -> None:
        """Add a batch."""
        merges = self.layout.merges
        a, b, _, summed = group_events(batch.event_time_ms, self._sizes_ms, keys, self._sets, merges, states)
        if self._used[0] + len(a) > len(self._tags):
            self._grow()
        rows, fresh = claim_rows(self._index, self._tags, self._used, a, b)
        merge_rows(merges, self._tags.view(np.float64), rows, fresh, summed)
        put_rows(self._tags, self._tags.view(np.float64), rows, b, summed)

    def _make(self, n_rows: int) -> None:
        self._tags = np.zeros((n_rows, STATE + self.layout.width), dtype=np.uint64)
        self._index = np.zeros(2 * n_rows, dtype=np.uint64)

    def _grow(self) -> None:
        held = self._tags
        self._make(4 * len(held))
        self._tags[: len(held)] = held
        enter_rows(self._index, self._tags, int(self._used[0]))
