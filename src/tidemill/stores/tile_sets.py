"""Which tile sets there are, from which position on each took every event, and which are whole and may be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from sqlalchemy import Engine

from tidemill.errors import ConflictError
from tidemill.features import FeatureSource, View
from tidemill.stores.catalogue import Catalogue
from tidemill.stores.cursors import Cursor, reading_cursor
from tidemill.stores.shelves import NO_BUCKET, SetNumbers, tile_sets
from tidemill.streams import Position

_SETS = "select number, view, bucket_ms, digest, fed_from, filled_to, whole from tile_set"
_ADD = "insert into tile_set (view, bucket_ms, digest, fed_from, filled_to, whole) values (?, ?, ?, ?, 0, ?) returning number"
_EMPTY = 0  # the number of no set


@dataclass(frozen=True, slots=True)
class Unfilled:
    """What a view or table lacks: the events that `fed_from` has taken are in it up to the log offset `filled_to`, in that order."""

    numbers: SetNumbers
    filled_to: int
    fed_from: Position


class TileSets:
    """The sets of a project: the tiles of its views by bucket size, and the rows of its tables.

    A set takes every event from the moment an engine first feeds it. One that was fed from the very first event is whole; another is
    whole once the events before have been filled in. A set that a running engine leaves out, because its project file lacks the view,
    has a gap; when it is fed again it begins anew under another number.

    Args:
        engine: of the state's database.
        catalogue: tells when there is something else to read.
        sources: the project's views and tables.
    """

    def __init__(self, engine: Engine, catalogue: Catalogue, sources: Sequence[FeatureSource]) -> None:
        self._engine = engine
        self._catalogue = catalogue
        tiles = tile_sets(source for source in sources if isinstance(source, View))
        rows = {(source.name, NO_BUCKET): source.digest for source in sources if not isinstance(source, View)}
        self._own = {(one.view.name, one.bucket_ms): one.view.digest for one in tiles} | rows
        self._fed: tuple[str, dict[tuple[str, int], int]] = ("", {})
        self._readable: tuple[int, dict[tuple[str, int], int]] = (-1, {})

    def fed(self, fed: str, cursor: Cursor | None = None) -> SetNumbers | None:
        """The numbers of the own sets, where they took the last events and no other did; None where that is not so: see `feed`.

        Args:
            fed: the sets that took the last events, as the position says.
            cursor: of the caller's transaction.
        """
        if fed == self._fed[0] and self._fed[1]:
            return self._fed[1]
        before = _numbers_in(fed)
        with self._reader(cursor) as reader:
            found = self._numbers(reader, before)
        if set(found) != set(self._own) or set(found.values()) != before:
            return None
        self._fed = (fed, found)
        return found

    def feed(self, cursor: Cursor, token: str, fed: str) -> SetNumbers:
        """The numbers of the own sets, those that are new being made: from here on they take every event, and no others do.

        Args:
            cursor: of the caller's transaction; the caller lets readers look again.
            token: the position after which these events come.
            fed: the sets that took the events before, as the position says.
        """
        return self._begin(cursor, self._numbers(cursor, _numbers_in(fed)), set(), token)

    def readable(self, catalog: int | None = None, cursor: Cursor | None = None) -> SetNumbers:
        """The numbers of the sets that are whole and fed.

        Args:
            catalog: the number of the catalogue at which the caller reads; now by default.
            cursor: of the caller's snapshot.
        """
        catalog = self._catalogue.number() if catalog is None else catalog
        if self._readable[0] != catalog:
            with self._reader(cursor) as reader:
                self._readable = (catalog, self._whole(reader))
        return self._readable[1]

    def partial(self) -> list[str]:
        """The views and tables that were declared or changed after the first event and not filled since: they read as missing."""
        readable = self.readable()
        return list(dict.fromkeys(view for view, size in self._own if (view, size) not in readable))

    def unfilled(self, source: FeatureSource) -> Unfilled | None:
        """What a view or table lacks; None for nothing."""
        with reading_cursor(self._engine) as cursor:
            numbers = self._numbers(cursor, _numbers_in(_standing(cursor)[1]))
        if set(numbers) != set(self._own):  # no engine with this project file has taken an event yet: the next one may not be missed
            with self._catalogue.changing() as cursor:
                token, fed = _standing(cursor)
                numbers = self._begin(cursor, self._numbers(cursor, _numbers_in(fed)), _numbers_in(fed), token)
        mine = {key: number for key, number in numbers.items() if key[0] == source.name}
        with reading_cursor(self._engine) as cursor:
            rows = [row for row in cursor.execute(_SETS) if row[0] in set(mine.values()) and not row[6]]
        if not rows:
            return None
        fed_from = Position.from_token(rows[0][4])
        return Unfilled({(row[1], row[2]): row[0] for row in rows}, min(row[5] for row in rows), fed_from)

    def filled(self, cursor: Cursor, numbers: Iterable[int], up_to: int, *, whole: bool) -> None:
        """Write down, in the caller's transaction, how far sets have been filled.

        Raises:
            ConflictError: an engine whose project file lacks it has taken events meanwhile.
        """
        (fed,) = cursor.execute("select fed from position").fetchone()
        for number in numbers:
            if number not in _numbers_in(fed):
                raise ConflictError("an engine that does not know it is running; start it anew with this project file, then try again")
            cursor.execute("update tile_set set filled_to = ?, whole = ? where number = ?", (up_to, whole, number))

    def forget(self, cursor: Cursor, token: str) -> None:
        """No set holds anything any more; in the caller's transaction."""
        whole = token == Position({}).token
        cursor.execute("update tile_set set fed_from = ?, filled_to = 0, whole = ?", (token, whole))

    def _begin(self, cursor: Cursor, found: Mapping[tuple[str, int], int], others: set[int], token: str) -> dict[tuple[str, int], int]:
        """Feed the own sets from here on, and go on with `others`; those that are left out are forgotten."""
        numbers = dict(found)
        for (view, bucket_ms), digest in self._own.items():
            if (view, bucket_ms) not in numbers:
                row = cursor.execute(_ADD, (view, bucket_ms, digest, token, token == Position({}).token)).fetchone()
                numbers[view, bucket_ms] = row[0]
        kept = others.union(numbers.values())
        cursor.execute("update position set fed = ?", (_text(kept),))
        gone = [(row[0],) for row in cursor.execute("select number from tile_set").fetchall() if row[0] not in kept]
        for table in ("tile_set where number", "sketch where set_number", "table_row where set_number"):
            cursor.executemany(f"delete from {table} = ?", gone)
        return numbers

    def _reader(self, cursor: Cursor | None) -> AbstractContextManager[Cursor]:
        return reading_cursor(self._engine) if cursor is None else nullcontext(cursor)

    def _numbers(self, cursor: Cursor, among: set[int]) -> dict[tuple[str, int], int]:
        rows = [row for row in cursor.execute(_SETS) if row[0] in among and self._own.get((row[1], row[2])) == row[3]]
        return {(row[1], row[2]): row[0] for row in rows}

    def _whole(self, cursor: Cursor) -> dict[tuple[str, int], int]:
        token, fed = _standing(cursor)
        whole = {row[0] for row in cursor.execute("select number from tile_set where whole")}
        found = self._numbers(cursor, _numbers_in(fed) & whole)
        if token == Position({}).token:  # nothing was taken yet, so every set is whole: none holds anything
            found = dict.fromkeys(self._own, _EMPTY) | found
        return found


def _standing(cursor: Cursor) -> tuple[str, str]:
    token, fed = cursor.execute("select token, fed from position").fetchone()
    return token, fed


def _numbers_in(fed: str) -> set[int]:
    return {int(number) for number in fed.split(",") if number}


def _text(numbers: Iterable[int]) -> str:
    return ",".join(map(str, sorted(numbers)))
