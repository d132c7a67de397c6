"""Many rows in few statements: of an insert of one row each the driver takes more time than the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from tidemill.stores.cursors import Cursor

_MOST_ROWS = 64  # a statement; each has values of its own, of which a database takes some thousands


def insert_many(cursor: Cursor, into: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows in their order, in the caller's transaction.

    A thread that writes lets the others run once a statement, not once a row, and waits that often for them.

    Args:
        cursor: of either database.
        into: `table (column, ...)`.
        rows: (n,) the values of each, one for each column.
    """
    begin = 0
    for size in _sizes(len(rows)):
        lot = rows[begin : begin + size]
        cursor.execute(_statement(into, len(lot[0]), size), tuple(chain.from_iterable(lot)))
        begin += size


def _sizes(n_rows: int) -> Iterator[int]:
    """Powers of two, the largest first, so that there are few statements, and a driver keeps each prepared.

    >>> list(_sizes(75)), list(_sizes(0))
    ([64, 8, 2, 1], [])
    """
    size = _MOST_ROWS
    while n_rows:
        if n_rows >= size:
            yield size
            n_rows -= size
        else:
            size //= 2


@lru_cache(maxsize=256)
def _statement(into: str, width: int, n_rows: int) -> str:
    """An insert with a place for each value.

    >>> _statement("dog (name, age)", 2, 2)
    'insert into dog (name, age) values (?, ?), (?, ?)'
    """
    row = f"({', '.join('?' * width)})"
    return f"insert into {into} values {', '.join([row] * n_rows)}"
