"""The state of the embedded profile: SQL in one file of SQLite, tiles and ids in tables that every process maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

from tidemill.events import EventBatch
from tidemill.features import FeatureSource, Label
from tidemill.stores.catalogue import FileCatalogue
from tidemill.stores.change_journal import Write
from tidemill.stores.cursors import Cursor, reading_cursor, writing_cursor
from tidemill.stores.id_store import IdStore
from tidemill.stores.mapped_tiles import MappedTiles
from tidemill.stores.shelves import SetNumbers
from tidemill.stores.sizes import Size
from tidemill.stores.sqlite import open_sqlite
from tidemill.stores.state import FillStep, SqlState, StateRow, refuse_lost
from tidemill.stores.state_tables import STATE_TABLES
from tidemill.stores.table_files import TableFiles
from tidemill.stores.tile_sets import TileSets
from tidemill.streams import Commit
from tidemill.streams.engine import Ints


class MappedState(SqlState):
    """The engine's state, in one SQLite file and a folder of tables beside it.

    Args:
        path: the database file.
        sources: the views whose tiles to keep, and the tables whose rows.
        labels: by model, what its outcomes are.
        retention_ms: by stream, how long ids count.
    """

    def __init__(self, path: Path, sources: Sequence[FeatureSource], labels: Mapping[str, Label], retention_ms: Mapping[str, int]) -> None:
        super().__init__(open_sqlite(path, STATE_TABLES), labels, list(retention_ms))
        self.files = TableFiles(path.with_suffix(".tables"))
        self.sets = TileSets(self._engine, FileCatalogue(self.files, self._engine), sources)
        self.tiles: MappedTiles = MappedTiles(self.files, sources, self.sets, self._engine)
        self._ids = IdStore(self.files, retention_ms)
        self._own_token = ""  # the position after this one's last commit; where it still stands, nobody has been here since
        with self.files.writing_at_once() as held:  # else somebody is at work who has done so, and who may stand still
            if held:
                self._set_right(self._standing())

    def known_until(self, stream: str, event_ids: Sequence[str]) -> Ints:
        """(n,) int64: the time (ms) until which each id counts as applied; -1 for one that was not."""
        return self._ids.known_until(stream, event_ids)

    def commit(self, commit: Commit) -> None:
        """Write everything `commit` says, or nothing.

        Raises:
            JudgedTooEarlyError: another engine has applied one of the ids.
            ConflictError: the position is no longer `commit.before`, or the tables must be built anew first.
        """
        with self.files.writing():
            standing = self._standing()
            change = self._set_right(standing)
            if commit.known_at_ms < standing.known_at_ms:  # a partition that is behind the others does not turn the clock back
                commit = replace(commit, known_at_ms=standing.known_at_ms)
            refuse_lost(standing)
            if standing.token != self._own_token:
                self._ids.check(commit.applied)
            numbers = self._feed(standing)
            writes = chain(self.tiles.prepare(commit.applied, commit.known_at_ms, numbers), self._ids.prepare(commit.applied))
            with self._changing(change + 1, commit.after.token, commit.known_at_ms, writes) as cursor:
                self._write(cursor, commit, change + 1, numbers)
            self._own_token = commit.after.token
            self.files.drop(self.tiles.expired(commit.known_at_ms) + self._ids.expired(commit.known_at_ms))

    def fill(self, applied: Mapping[str, EventBatch], numbers: SetNumbers, *, ids: bool, done: FillStep | None = None) -> None:
        """Merge events of the past into sets that lack them; see `SqlState.fill`."""
        with self.files.writing():
            standing = self._standing()
            change = self._set_right(standing)
            writes = chain(self.tiles.prepare(applied, standing.known_at_ms, numbers), self._ids.prepare(applied if ids else {}))
            with self._changing(change + 1, standing.token, standing.known_at_ms, writes) as cursor:
                cursor.execute("update position set change = ?", (change + 1,))
                self.tiles.sketches.write(cursor, applied, standing.known_at_ms, numbers)
                self.tiles.rows.write(cursor, applied, standing.known_at_ms, numbers)
                if done is not None:
                    done(cursor)
            self.files.announce()

    def is_lost(self) -> bool:
        """See `SqlState.is_lost`; waits for whoever writes, who may have found it just now."""
        with self.files.writing():
            self._set_right(self._standing())
        return super().is_lost()

    def begin_anew(self) -> SetNumbers:
        """Drop every tile, row and id, to fill them from history; answers the sets to fill."""
        with self.files.writing():
            standing = self._standing()
            self._forget(standing)
            return self._feed(standing)

    def end_anew(self) -> None:
        """Say that tiles, rows and ids hold everything up to the position again."""
        with self.files.writing():
            with writing_cursor(self._engine) as cursor:
                self._all_whole(cursor)
            self.files.announce()

    def sizes(self) -> list[Size]:
        """The room that tiles, ids and rows take, now and at the rate of now.

        Raises:
            ConflictError: an engine died while it changed the tiles.
        """
        now_ms = self.position_and_time()[1]
        with reading_cursor(self._engine) as cursor:
            rows = self.tiles.rows.sizes(cursor, self.sets.readable())
        with self.files.reading():
            return self.tiles.sizes(now_ms) + self._ids.sizes(now_ms) + rows

    def close(self) -> None:
        """Let go of the files."""
        self.files.close()
        super().close()

    @contextmanager
    def _changing(self, change: int, token: str, known_at_ms: int, claims: Iterable[Write]) -> Iterator[Cursor]:
        """A transaction of the database that the tables follow: both take the change of that number, or neither."""
        writes = list[Write]()
        try:
            for write in claims:  # one at a time: where a table finds no room, what was claimed in others is given back
                writes.append(write)
            self.files.prepare(change, token, known_at_ms, writes)
            with writing_cursor(self._engine) as cursor:
                yield cursor
        except BaseException:
            self.files.undo(writes)
            raise
        self.files.apply(change, token, known_at_ms, writes)

    def _feed(self, standing: StateRow) -> SetNumbers:
        """The sets that the next events go to; only within `TableFiles.writing`."""
        numbers = self.sets.fed(standing.fed)
        if numbers is None:
            with writing_cursor(self._engine) as cursor:
                numbers = self.sets.feed(cursor, standing.token, standing.fed)
            self.files.announce()
        return numbers

    def _set_right(self, standing: StateRow) -> int:
        """Finish what a writer that died has left, and answer the number of the last change; only within `TableFiles.writing`."""
        if not self.files.recover(standing.change):
            self._forget(standing)
        return standing.change

    def _forget(self, standing: StateRow) -> None:
        self.files.reset(standing.change, standing.token, standing.known_at_ms)
        with writing_cursor(self._engine) as cursor:
            self._forget_rows(cursor, standing)
        self.files.announce()
