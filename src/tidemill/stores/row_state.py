"""The state of the server profile: everything in one schema of PostgreSQL, so that several engines may share the partitions of a stream.

A commit is one transaction that takes the schema's lock first. Then it moves each of its partitions on by compare-and-set, and looks
whether another engine has applied one of its ids since they were judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from psycopg import Connection
from sqlalchemy import Engine, event

from tidemill.events import EventBatch
from tidemill.features import FeatureSource, Label
from tidemill.stores.cursors import Cursor, reading_cursor, writing_cursor
from tidemill.stores.postgres_arrays import speak_arrays
from tidemill.stores.row_ids import RowIds
from tidemill.stores.row_sizes import row_size
from tidemill.stores.row_tables import RowCatalogue
from tidemill.stores.row_tiles import RowTiles
from tidemill.stores.shelves import SetNumbers
from tidemill.stores.sizes import Size
from tidemill.stores.state import FillStep, SqlState, StateRow, refuse_lost
from tidemill.stores.tile_sets import TileSets
from tidemill.streams import Commit, Position
from tidemill.streams.advancing import advanced, slowest_ms
from tidemill.streams.engine import Ints

_EXPIRED_AT_LEAST = 1_000  # rows a commit; and always more than it adds, so that expiry keeps up


class RowState(SqlState):
    """The engine's state in PostgreSQL.

    Args:
        engine: of the database, with the tables of `ROW_TABLES`.
        sources: the views whose tiles to keep, and the tables whose rows.
        labels: by model, what its outcomes are.
        retention_ms: by stream, how long ids count.
    """

    def __init__(
        self, engine: Engine, sources: Sequence[FeatureSource], labels: Mapping[str, Label], retention_ms: Mapping[str, int]
    ) -> None:
        _plan_for_many_looks(engine)
        speak_arrays(engine)
        super().__init__(engine, labels, list(retention_ms))
        self._catalogue = RowCatalogue(engine)
        self.sets = TileSets(engine, self._catalogue, sources)
        self.tiles: RowTiles = RowTiles(engine, sources, self.sets)
        self._ids = RowIds(retention_ms)
        self._own_token = ""  # the position after this one's last commit; where it still stands, nobody has been here since

    def known_until(self, stream: str, event_ids: Sequence[str]) -> Ints:
        """(n,) int64: the time (ms) until which each id counts as applied; -1 for one that was not."""
        with reading_cursor(self._engine) as cursor:
            return self._ids.known_until(cursor, stream, event_ids)

    def commit(self, commit: Commit) -> None:
        """Write everything `commit` says, or nothing.

        Raises:
            JudgedTooEarlyError: another engine has applied one of the ids.
            ConflictError: one of the partitions no longer stands at `commit.before`, or tiles and ids must be built anew first.
        """
        with writing_cursor(self._engine) as cursor:
            standing = self._standing(cursor)
            refuse_lost(standing)
            commit = _as_whole(commit, standing)
            if standing.token != self._own_token:
                self._ids.check(cursor, commit.applied)
            numbers = self._feed(cursor, standing)
            self._write(cursor, commit, standing.change + 1, numbers)
            n_tiles = self.tiles.merge(cursor, commit.applied, commit.known_at_ms, numbers)
            self._ids.write(cursor, commit.applied)
            n_ids = sum(map(len, commit.applied.values()))
            self.tiles.expire(cursor, commit.known_at_ms, _EXPIRED_AT_LEAST + 2 * n_tiles)
            self._ids.expire(cursor, slowest_ms(commit.after, commit.known_at_ms), _EXPIRED_AT_LEAST + 2 * n_ids)
        self._own_token = commit.after.token

    def fill(self, applied: Mapping[str, EventBatch], numbers: SetNumbers, *, ids: bool, done: FillStep | None = None) -> None:
        """Merge events of the past into sets that lack them; see `SqlState.fill`."""
        with writing_cursor(self._engine) as cursor:
            standing = self._standing(cursor)
            cursor.execute("update position set change = ?", (standing.change + 1,))
            self.tiles.merge(cursor, applied, standing.known_at_ms, numbers)
            if ids:
                self._ids.write(cursor, applied)
            self.tiles.sketches.write(cursor, applied, standing.known_at_ms, numbers)
            self.tiles.rows.write(cursor, applied, standing.known_at_ms, numbers)
            if done is not None:
                done(cursor)
            self._catalogue.rise(cursor)

    def begin_anew(self) -> SetNumbers:
        """Drop every tile, row and id, to fill them from history; answers the sets to fill."""
        with self._catalogue.changing() as cursor:
            standing = self._standing(cursor)
            cursor.execute("delete from tile")
            cursor.execute("delete from applied_id")
            self._forget_rows(cursor, standing)
            return self._feed(cursor, standing)

    def end_anew(self) -> None:
        """Say that tiles, rows and ids hold everything up to the position again."""
        with self._catalogue.changing() as cursor:
            self._all_whole(cursor)

    def sizes(self) -> list[Size]:
        """The room that tiles, ids and rows take, now and at the rate of now."""
        now_ms = self.position_and_time()[1]
        with reading_cursor(self._engine) as cursor:
            mine = [row_size(cursor, kind, now_ms) for kind in (self.tiles.kind, self._ids.kind)]
            return mine + self.tiles.rows.sizes(cursor, self.sets.readable())

    def _feed(self, cursor: Cursor, standing: StateRow) -> SetNumbers:
        """The sets that the next events go to."""
        numbers = self.sets.fed(standing.fed, cursor)
        if numbers is None:
            numbers = self.sets.feed(cursor, standing.token, standing.fed)
            self._catalogue.rise(cursor)
        return numbers


def _plan_for_many_looks(engine: Engine) -> None:
    """Let every connection look into indexes: a plan is kept, and one that was made while a table was empty would read all of it."""

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Connection[Any], _record: Any) -> None:
        connection.execute("set enable_seqscan = off")
        connection.execute("set jit = off")  # it takes longer than any of these statements
        connection.commit()


def _as_whole(commit: Commit, standing: StateRow) -> Commit:
    """The commit as one of all partitions, whoever takes them; a partition that is behind does not turn the clock back."""
    position = Position.from_token(standing.token)
    after = advanced(position, commit.before, commit.after)
    return replace(commit, before=position, after=after, known_at_ms=max(commit.known_at_ms, standing.known_at_ms))
