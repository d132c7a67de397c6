"""What events change in mapped tiles: the sums of a batch, merged into the rows that are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidemill.events import EventBatch
from tidemill.stores.change_journal import Write
from tidemill.stores.shelves import SetNumbers, Shelf
from tidemill.stores.table_files import TableFiles
from tidemill.stores.tile_sums import TileSums, sum_events


def merge_events(files: TableFiles, shelves: Sequence[Shelf], batch: EventBatch, known_at_ms: int, numbers: SetNumbers) -> Iterator[Write]:
    """The rows that a batch changes, see `sum_events`; only within `TableFiles.writing`."""
    for shelf, sums in sum_events(shelves, batch, known_at_ms, numbers):
        yield from _merge(files, shelf, sums)


def _merge(files: TableFiles, shelf: Shelf, sums: TileSums) -> Iterator[Write]:
    """Merge what the tiles hold into the sums."""
    for generation, some in sums.by_generation(shelf.generations.span_ms):
        table = shelf.generations.ensure(files, generation, len(some.a))
        rows, fresh = table.claim(some.a, some.b)
        table.merge_into(some.states, rows, fresh, shelf.layout.merges)
        yield Write(table, rows, some.b, some.states, fresh, shelf.neutral)
