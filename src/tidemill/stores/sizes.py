"""How much room tiles and ids take, and how much they will take once the rates of now have lasted as long as they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidemill.stores.generations import Generations
from tidemill.stores.hash_table import HashTable

_INDEX_BYTES = 32  # a row's share of the index, between 16 when it is full and 64 just after it has grown


@dataclass(frozen=True, slots=True)
class Size:
    """The room of one kind of row.

    Args:
        what: whose rows.
        rows: how many there are now.
        n_bytes: what they take now.
        rows_per_s: how many are added a second of stream time.
        n_bytes_ahead: what they will take at that rate.
    """

    what: str
    rows: int
    n_bytes: int
    rows_per_s: float
    n_bytes_ahead: int


def size_of(what: str, generations: Generations, tables: dict[int, HashTable], kept_ms: int, now_ms: int) -> Size:
    """The room of one kind of row.

    Args:
        what: whose rows.
        generations: how they are spread over tables.
        tables: by generation.
        kept_ms: how long a row matters; tables go by whole generations, so up to one more is kept.
        now_ms: the end of what the newest table has seen.
    """
    rows = sum(table.used for table in tables.values())
    row_bytes = 8 * (2 + generations.width) + _INDEX_BYTES
    rows_per_s = _rate(generations, tables, now_ms)
    ahead = rows_per_s * (kept_ms + generations.span_ms) / 1_000
    return Size(what, rows, rows * row_bytes, rows_per_s, round(ahead * row_bytes))


def total_text(sizes: Sequence[Size]) -> str:
    """Rows and room of several kinds, for people.

    >>> total_text([Size("ids of taps", 2_000_000, 112_000_000, 10.0, 500_000_000)])
    '2,000,000 rows, 112 MB; about 500 MB at the rate of now'
    """
    rows, now, ahead = (sum(getattr(size, name) for size in sizes) for name in ("rows", "n_bytes", "n_bytes_ahead"))
    return f"{rows:,} rows, {now / 1e6:,.0f} MB; about {max(now, ahead) / 1e6:,.0f} MB at the rate of now"


def _rate(generations: Generations, tables: dict[int, HashTable], now_ms: int) -> float:
    """Rows a second in the newest generation that has lasted a while."""
    for generation in sorted(tables, reverse=True):
        lasted_ms = min(now_ms - generation * generations.span_ms, generations.span_ms)
        if lasted_ms >= generations.span_ms // 4 or generation == min(tables):
            return tables[generation].used / max(lasted_ms, 1) * 1_000
    return 0.0
