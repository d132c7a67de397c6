"""Rows as they stood: the values of a table at many past moments, from the lake.

```
 rows of one key by event time, then id:   r1   r2   r3        t is here: r3 is the newest that is valid
 known by the question:                    yes  yes  no        so it steps back to r2
```
The rows of the keys that are asked for are held in memory at once: a table is small beside the streams of events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from tidemill.events import Column
from tidemill.features import Table
from tidemill.kernels import Ints
from tidemill.learning.lake_sql import Limits, column_of, column_sql, open_duckdb, scan
from tidemill.learning.moments import Clock, Moments, clock_column, read_clock
from tidemill.stores import EVENT_ID, EVENT_TIME, OFFSET


@dataclass(frozen=True)
class _Rows:
    """n rows ordered by key, event time, event id and offset.

    Args:
        key: (n,) int64, the number of the key.
        at_ms: (n,) int64, from when on it is valid.
        known: (n,) int64, when it became known, in the clock of the questions.
        columns: (n,) columns of the table.
    """

    key: Ints
    at_ms: Ints
    known: Ints
    columns: list[Column]


def rows_at(table: Table, events: ds.Dataset, moments: Moments, clock: Clock, limits: Limits) -> dict[str, Column]:
    """The columns of a table at n moments; see `point_in_time.values_at`."""
    codes, keys = moments.numbered(table.entity_fields)
    rows = _read(table, events, keys, clock, limits)
    row = _newest(rows, codes, moments)
    values: dict[str, Column] = {}
    for (name, kind), column in zip(table.column_kinds.items(), rows.columns, strict=True):
        values[name] = np.full(len(row), None if kind == "text" else np.nan, dtype=object if kind == "text" else np.float64)
        values[name][row >= 0] = column[row[row >= 0]]
    return values


def _newest(rows: _Rows, codes: Ints, moments: Moments) -> Ints:
    """(n,) the row that answers each question; -1 where none does."""
    first, end = (np.searchsorted(rows.key, codes, side=side) for side in ("left", "right"))
    row = _last_until(rows.at_ms, first, end, moments.at_ms)
    known_up_to = moments.known_up_to
    pending = np.flatnonzero(row >= first)
    knows_some = _first_known(rows)[row[pending]] <= known_up_to[pending]
    row[pending[~knows_some]] = -1  # all that is asked about the time before a history was imported; to step through it would take long
    pending = pending[knows_some]
    while len(pending := pending[rows.known[row[pending]] > known_up_to[pending]]):
        row[pending] -= 1  # never past the first: one of them is known
    return np.where(row >= first, row, -1)


def _first_known(rows: _Rows) -> Ints:
    """(n,) the earliest `known` among each row and those of its key before it."""
    moments, rank = np.unique(rows.known, return_inverse=True)
    below = rows.key * len(moments)  # each key's ranks lie below those of the key before, so the running minimum is its own
    return np.asarray(moments[np.minimum.accumulate(rank - below) + below], dtype=np.int64)


def _last_until(at_ms: Ints, first: Ints, end: Ints, until_ms: Ints) -> Ints:
    """(n,) of the rows `first` to `end`, which rise in time, the last that is not after `until_ms`; before `first` where all are."""
    low, high = first.copy(), end.copy()
    for _ in range(int((high - low).max(initial=0)).bit_length()):  # halves all at once
        middle = np.minimum((low + high) // 2, len(at_ms) - 1)
        valid = (low < high) & (at_ms[middle] <= until_ms)
        low, high = np.where(valid, middle + 1, low), np.where(valid, high, middle)
    return low - 1


def _read(table: Table, events: ds.Dataset, keys: pa.Table, clock: Clock, limits: Limits) -> _Rows:
    """Every row of these keys."""
    known = clock_column(clock)
    stream = table.stream
    on = " and ".join(f'e."{name}" = k.k{i}' for i, name in enumerate(table.entity_fields))
    read = ", ".join(f"{column_sql(stream, name)} as f{i}" for i, name in enumerate(table.columns))
    query = f"""
select k.code, e."{EVENT_TIME}", e."{known}", {read} from events e join keys k on {on}
order by k.code, e."{EVENT_TIME}", e."{EVENT_ID}", e."{OFFSET}"
"""
    with open_duckdb(limits) as connection:
        texts = {f"k{i}": keys.column(name) for i, name in enumerate(table.entity_fields)}
        connection.register("keys", pa.table({"code": np.arange(len(keys)), **texts}))
        wanted = {OFFSET, EVENT_TIME, EVENT_ID, known, *table.entity_fields, *table.columns}
        scan(connection, "events", events, wanted, ds.field(EVENT_TIME) >= 0)
        code, at_ms, known_at, *columns = (column_of(column) for column in connection.sql(query).to_arrow_table().columns)
    return _Rows(code, at_ms, read_clock(clock, known_at), columns)
