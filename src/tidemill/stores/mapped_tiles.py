"""Tiles in tables that every process maps: merged when events are applied, read in place."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from sqlalchemy import Engine

from tidemill.clock import duration_text
from tidemill.errors import ConflictError, UnavailableError
from tidemill.events import EventBatch
from tidemill.features import FeatureSource, View
from tidemill.kernels import STATE, Floats, Tags
from tidemill.stores.change_journal import Write
from tidemill.stores.cursors import Cursor, reading_cursor
from tidemill.stores.hash_table import HashTable
from tidemill.stores.shelves import SetNumbers, Shelf
from tidemill.stores.sizes import Size, size_of
from tidemill.stores.table_files import PATIENCE_S, TableFiles
from tidemill.stores.tile_merge import merge_events
from tidemill.stores.tile_read import Plan, make_parts
from tidemill.stores.tile_sets import TileSets
from tidemill.stores.tile_store import Asked, Moment, TileStore


class MappedTiles(TileStore):
    """The tiles of all views in the tables of a folder.

    Args:
        files: where the tables lie.
        sources: the views whose tiles are kept, and the tables whose rows are.
        sets: which of them may be read.
        database: of the state, where sketches and rows are.
    """

    def __init__(self, files: TableFiles, sources: Sequence[FeatureSource], sets: TileSets, database: Engine) -> None:
        super().__init__(sources)
        self._files = files
        self._sets = sets
        self._database = database

    def prepare(self, applied: Mapping[str, EventBatch], known_at_ms: int, numbers: SetNumbers) -> Iterator[Write]:
        """The rows that these events change, claimed one after another; see `merge_events`."""
        for stream, batch in applied.items():
            shelves = [shelf for shelf in self._shelves if shelf.stream == stream]
            yield from merge_events(self._files, shelves, batch, known_at_ms, numbers)

    def expired(self, now_ms: int) -> list[str]:
        """The tables that no window reaches any more."""
        tables = self._files.tables()
        return [name for shelf in self._shelves for name in shelf.generations.before(tables, shelf.oldest_ms(now_ms))]

    def sizes(self, now_ms: int) -> list[Size]:
        """The room that the tiles of each shelf take."""
        tables = self._files.tables()
        return [
            size_of(
                f"tiles of {', '.join(tiles.view.name for tiles in shelf.sets)} ({duration_text(shelf.bucket_ms)})",
                shelf.generations,
                shelf.generations.among(tables),
                shelf.longest_ms + shelf.bucket_ms,
                now_ms,
            )
            for shelf in self._shelves
        ]

    def may_wait(self, names: Iterable[str]) -> bool:
        """See `TileStore.may_wait`: while an engine puts rows too, which takes no time unless it is stopped there."""
        return super().may_wait(names) or self._files.is_waited_for()

    @contextmanager
    def _moment(self, *, beside_database: bool) -> Iterator[Moment]:
        if beside_database:
            with self._beside_database() as cursor:
                yield self._now(cursor)
        else:
            with self._files.reading():
                yield self._now(None)

    def _now(self, cursor: Cursor | None) -> Moment:
        return Moment(*self._files.position(), self._files.change, self._files.catalog, cursor)

    def _numbers(self, moment: Moment) -> SetNumbers:
        return self._sets.readable(moment.catalog)

    def _make_plan(self, views: Sequence[View], moment: Moment, at_ms: int) -> Plan:
        tables = self._files.tables()
        widths = {view.name: len(view.feature_columns) for view in views}
        parts = make_parts(self._shelves, views, self._numbers(moment), lambda *which: _table(tables, *which), at_ms)
        return Plan(widths, [part for _, part in parts])

    def _read_tiles(self, plan: Plan, asked: Asked, _moment: Moment) -> dict[str, Floats]:
        return plan.read(asked)

    @contextmanager
    def _beside_database(self) -> Iterator[Cursor]:
        """The database at the position that the tables stand at.

        Raises:
            ConflictError: an engine died between its commit and the tables.
            UnavailableError: it stands still there, or waits there for a reader who does.
        """
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            with self._files.reading(), reading_cursor(self._database) as cursor:
                if self._is_applied(cursor):
                    yield cursor
                    return
            # either a writer has committed and waits for us to apply, then it has the right to write; or it is gone
            with self._files.standing_still() as nobody_writes, reading_cursor(self._database) as cursor:
                if nobody_writes and not self._is_applied(cursor):
                    raise ConflictError("an engine died while it changed the tiles; start it again, it sets them right at once")
            if time.monotonic() > deadline_s:
                what = f"an engine has been changing the tiles for {PATIENCE_S:.0f} s"
                raise UnavailableError(f"{what}; has somebody stopped it, or a process that reads them?")
            time.sleep(0.0005)

    def _is_applied(self, cursor: Cursor) -> bool:
        """Whether the tables hold the last change that the database has committed."""
        return bool(cursor.execute("select change from position").fetchone()[0] == self._files.change)


def _table(tables: Mapping[str, HashTable], shelf: Shelf, generation: int) -> tuple[Tags, Tags]:
    """The index and the rows of a generation; without any when it holds nothing."""
    table = shelf.generations.among(tables).get(generation)
    if table is None:
        return np.zeros(1, np.uint64), np.zeros((1, STATE + shelf.layout.width), np.uint64)
    return table.index, table.tags
