"""Windows and their buckets: which tiles make up a value.

```
            floor(t) - w                      floor(t)     t
                 |■■■■|■■■■|■■■■| ... |■■■■|■■■■|■■■■....|
                 └──────── tiles whose bucket starts in [floor(t) - w, floor(t)] ────────┘
```
"""

from __future__ import annotations

from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, duration_ms, duration_text
from tidemill.errors import ProjectError

MAX_TILES = 400
_BUCKETS_MS = (
    SECOND_MS,
    5 * SECOND_MS,
    15 * SECOND_MS,
    MINUTE_MS,
    5 * MINUTE_MS,
    15 * MINUTE_MS,
    HOUR_MS,
    6 * HOUR_MS,
    DAY_MS,
)


def default_bucket_ms(window_ms: int) -> int:
    """The window divided by 60, rounded up to a round size; a day at most.

    >>> default_bucket_ms(3 * HOUR_MS) == 5 * MINUTE_MS
    True
    """
    return next((size for size in _BUCKETS_MS if size * 60 >= window_ms), DAY_MS)


def check_window(window_ms: int, bucket_ms: int, where: str) -> None:
    """Refuse a window that its buckets cannot tile.

    Raises:
        ProjectError: not a multiple of the bucket, or more than 400 tiles; names the nearest choices.
    """
    if window_ms % bucket_ms:
        below = window_ms // bucket_ms * bucket_ms
        most = MAX_TILES * bucket_ms
        nearest = dict.fromkeys(duration_text(min(choice, most)) for choice in (below, below + bucket_ms) if choice > 0)
        raise ProjectError(
            f"a window of {duration_text(window_ms)} is not a multiple of its bucket of {duration_text(bucket_ms)}",
            where=where,
            fix=f"use over={' or '.join(map(repr, nearest))}, or set bucket=",
        )
    if window_ms // bucket_ms > MAX_TILES:
        choice = next(size for size in (*_BUCKETS_MS, window_ms) if window_ms // size <= MAX_TILES and window_ms % size == 0)
        raise ProjectError(
            f"a window of {duration_text(window_ms)} in buckets of {duration_text(bucket_ms)} makes more than {MAX_TILES} tiles",
            where=where,
            fix=f"set bucket={duration_text(choice)!r}, or over={duration_text(MAX_TILES * bucket_ms)!r} at most",
        )


def check_duration(text: str | int, name: str, where: str) -> None:
    """Refuse what is not a duration.

    Raises:
        ProjectError: it is not; says what to write.
    """
    try:
        duration_ms(text)
    except ValueError as error:
        raise ProjectError(str(error), where=where, fix=f"write e.g. {name}='6h'") from error


def floor_ms(at_ms: int, bucket_ms: int) -> int:
    """The start of the bucket that `at_ms` falls in.

    >>> floor_ms(125_000, 60_000)
    120000
    """
    return at_ms // bucket_ms * bucket_ms
