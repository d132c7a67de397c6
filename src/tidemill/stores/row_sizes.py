"""How much room the rows of tiles and ids take in PostgreSQL, and how much they will take at the rate of now.

A row is named by the time until which it counts. So those that were added within a span of time stand in one slice of the index for each
length of life, that much later:

```
 until:  now ──────────── now + 1 h ──────────────────────────────── now + 24 h
                           ▲ slice: rows that live 1 h,               ▲ slice: rows that live 24 h
                             and those of 24 h that are 23 h old
 once the rate has lasted:   the rows of a slice, for each of the spans up to the next shorter life
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tidemill.stores.cursors import Cursor
from tidemill.stores.sizes import Size

_COUNTED = 100_000  # up to so many rows are counted; of more, the server's own estimate says enough
_SPANS = 24  # of a life; a slice is one of them, so few rows are counted for it
_ESTIMATE = "select reltuples::int8, pg_total_relation_size(oid) from pg_class where oid = ?::regclass"


@dataclass(frozen=True)
class Kind:
    """One kind of row.

    Args:
        what: its rows, for people.
        table: of them, with an index that begins with `until_ms`.
        lives: by how long a row counts after its time, to what that time is rounded down; both ms.
    """

    what: str
    table: str
    lives: Mapping[int, int]


def row_size(cursor: Cursor, kind: Kind, now_ms: int) -> Size:
    """The room of one kind of row, with its indexes; what is foretold is made of the bytes a row takes now."""
    n_rows, n_bytes = cursor.execute(_ESTIMATE, (kind.table,)).fetchone()
    if n_rows < _COUNTED:
        (n_rows,) = cursor.execute(f"select count(*) from {kind.table}").fetchone()
    if not n_rows:
        return Size(kind.what, 0, n_bytes, 0.0, n_bytes)
    lives_ms = sorted(kind.lives, reverse=True)
    ahead, rate = 0.0, 0.0
    for life_ms, shorter_ms in zip(lives_ms, [*lives_ms[1:], 0], strict=True):
        # a slice of a young system lacks the long-lived that will have grown old by then
        rate = max(rate, _rows_per_ms(cursor, kind.table, life_ms, kind.lives[life_ms], now_ms))
        ahead += rate * (life_ms - shorter_ms)
    return Size(kind.what, n_rows, n_bytes, 1_000 * rate, max(n_bytes, round(n_bytes / n_rows * ahead)))


def _rows_per_ms(cursor: Cursor, table: str, life_ms: int, bucket_ms: int, now_ms: int) -> float:
    """How many rows a millisecond were added in the last whole span, or in the one that runs where there is none yet."""
    for begin_ms, end_ms in _spans(life_ms, bucket_ms, now_ms):
        query = f"select count(*) from {table} where until_ms >= ? and until_ms < ?"
        (n_rows,) = cursor.execute(query, (begin_ms + life_ms, end_ms + life_ms)).fetchone()
        if n_rows:
            return float(n_rows / (end_ms - begin_ms))
    return 0.0


def _spans(life_ms: int, bucket_ms: int, now_ms: int) -> Iterator[tuple[int, int]]:
    """The last whole span, and the one that runs: from when, up to when.

    >>> list(_spans(240, 1, 105))
    [(90, 100), (100, 106)]
    >>> list(_spans(240, 60, 105))
    [(0, 60), (60, 106)]
    """
    span_ms = max(1, life_ms // _SPANS // bucket_ms) * bucket_ms
    running_ms = now_ms // span_ms * span_ms
    yield running_ms - span_ms, running_ms
    yield running_ms, now_ms + 1
