"""Rows of tables: of each key the newest that is valid, and those that become valid later, each a row of SQL.

```
 rows of one key by event time:   r1      r2     |known_at      r3           a read is always of known_at or later,
 kept:                             -      r2     |              r3           so nothing can ask for r1 any more
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import orjson

from tidemill.events import Column, EventBatch, to_column
from tidemill.features import Table
from tidemill.stores.cursors import Cursor
from tidemill.stores.shelves import NO_BUCKET, SetNumbers
from tidemill.stores.sizes import Size

# Text is compared by its UTF-8 bytes, so ids stand in the order that history has too.
_WRITE = (
    "insert into table_row (set_number, key, at_ms, event_id, log_offset, held) values (?, ?, ?, ?, ?, ?) "
    "on conflict (set_number, key, at_ms, event_id) do update set log_offset = excluded.log_offset, held = excluded.held "
    "where excluded.log_offset > table_row.log_offset"
)
_PRUNE = (
    "delete from table_row where set_number = ?1 and key = ?2 and (at_ms, event_id) < (select at_ms, event_id from table_row "
    "where set_number = ?1 and key = ?2 and at_ms <= ?3 order by at_ms desc, event_id desc limit 1)"
)
_READ = "select held from table_row where set_number = ? and key = ? and at_ms <= ? order by at_ms desc, event_id desc limit 1"
_SIZE = "select count(*), coalesce(sum(length(key) + length(event_id) + length(held)), 0) from table_row where set_number = ?"
_NUMBER_BYTES = 24  # of a row's whole numbers and its place in the page


class RowStore:
    """The rows of all tables, in `state.db`; every call is part of the caller's transaction."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = {table.name: table for table in tables}

    @property
    def streams(self) -> frozenset[str]:
        """The streams whose events are rows: of these, no event ever grows too old to matter."""
        return frozenset(table.stream.name for table in self._tables.values())

    def has(self, name: str) -> bool:
        """Whether a table has that name."""
        return name in self._tables

    def write(self, cursor: Cursor, applied: Mapping[str, EventBatch], known_at_ms: int, numbers: SetNumbers) -> None:
        """Take the rows among these events, and drop what they supersede: nobody asks about a time before `known_at_ms` again."""
        for table in self._tables.values():
            batch, number = applied.get(table.stream.name), numbers.get((table.name, NO_BUCKET))
            if batch is None or number is None:
                continue
            columns = batch.columns({*table.entity_fields, *table.columns})
            keys = table.keys(columns)
            held = list(zip(*(columns[name].tolist() for name in table.columns), strict=True))
            places = list(_still_asked(batch, keys, known_at_ms))
            rows = [
                (number, keys[at], int(batch.event_time_ms[at]), batch.event_ids[at], int(batch.offsets[at]), orjson.dumps(held[at]))
                for at in places
            ]
            cursor.executemany(_WRITE, rows)
            cursor.executemany(_PRUNE, [(number, key, known_at_ms) for key in {keys[at] for at in places}])

    def read(self, cursor: Cursor, asked: Mapping[str, Sequence[str | None]], at_ms: int, numbers: SetNumbers) -> dict[str, Column]:
        """By column, the values of the keys asked of these tables; all missing where a table may not be read.

        Args:
            cursor: the caller's.
            asked: by table, (n,) keys; names of no table are left out.
            at_ms: not before the `known_at` of the position.
            numbers: the sets that may be read.

        Returns:
            By `table__column`, (n,) float64 with NaN for missing, or text with None.
        """
        found: dict[str, Column] = {}
        for table in (self._tables[name] for name in asked if name in self._tables):
            number = numbers.get((table.name, NO_BUCKET))
            rows = [_held(cursor, (number, key, at_ms)) or [None] * len(table.columns) for key in asked[table.name]]
            for place, (column, kind) in enumerate(table.column_kinds.items()):
                found[column] = to_column([row[place] for row in rows], kind)
        return found

    def sizes(self, cursor: Cursor, numbers: SetNumbers) -> list[Size]:
        """The room that the rows of each table take; they grow with the keys alone, so what they will take is what they take."""
        found = []
        for name in self._tables:
            n_rows, n_bytes = cursor.execute(_SIZE, (numbers.get((name, NO_BUCKET)),)).fetchone()
            n_bytes += n_rows * _NUMBER_BYTES
            found.append(Size(f"rows of {name}", n_rows, n_bytes, 0.0, n_bytes))
        return found


def _still_asked(batch: EventBatch, keys: Sequence[str | None], known_at_ms: int) -> Iterator[int]:
    """The places of a batch's rows that may be asked for: of each key the newest valid at a time, and all that are valid later."""
    newest: dict[str, tuple[int, str, int]] = {}
    for place, (key, at_ms, event_id) in enumerate(zip(keys, batch.event_time_ms.tolist(), batch.event_ids, strict=True)):
        if key is None:
            continue
        if at_ms > known_at_ms:
            yield place
        else:
            newest[key] = max(newest.get(key, (-1, "", -1)), (at_ms, event_id, place))
    yield from (place for _, _, place in newest.values())


def _held(cursor: Cursor, place: tuple[int | None, str | None, int]) -> list[float | str | None] | None:
    """The columns of the row that stands at a place; None for no row, as where the set or the key is None."""
    row = cursor.execute(_READ, place).fetchone()
    held: list[float | str | None] | None = None if row is None else orjson.loads(row[0])
    return held
