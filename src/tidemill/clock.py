"""Time is handed in: every function that needs it takes `now_ms`, so no test sleeps and a replay sets the clock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

NowMs = Callable[[], int]

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_MS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "min": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_LONGEST_MS = 365_250 * DAY_MS
_MS_FROM = 100_000_000_000  # a number is of milliseconds from here on (of 1973), else of seconds


def wall_ms() -> int:
    """The wall clock, in integer milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def to_utc(ms: int) -> datetime:
    """An aware UTC datetime of integer milliseconds since the epoch.

    >>> to_utc(1_356_998_400_000).isoformat()
    '2013-01-01T00:00:00+00:00'
    """
    return _EPOCH + timedelta(milliseconds=ms)  # exact, which a float of seconds is not


def moment_of(text: str) -> datetime | None:
    """The moment that a text tells: ISO 8601, UTC where no zone is named, or a number of s or ms since 1970; else None.

    >>> moment_of("2026-03-01 10:00") == moment_of("2026-03-01T11:00+01:00") == moment_of("1772359200") == moment_of("1772359200000")
    True
    >>> str(moment_of("2026-03-01 10:00")), moment_of("03/01/2026")
    ('2026-03-01 10:00:00+00:00', None)
    """
    text = text.strip()
    with suppress(ValueError, OverflowError):
        if re.fullmatch(r"\d+(\.\d+)?", text) and not re.fullmatch(r"(19|20)\d{6}", text):  # those are dates
            number = float(text)
            return to_utc(int(number) if number >= _MS_FROM else round(number * 1_000))
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def moment_ms(text: str) -> int | None:
    """The same as integer milliseconds since the epoch.

    >>> moment_ms("2026-03-01 10:00")
    1772359200000
    """
    moment = moment_of(text)
    return None if moment is None else to_ms(moment)


def to_ms(moment: datetime) -> int:
    """Integer milliseconds since the epoch of an aware datetime; halves are rounded away from the epoch, as DuckDB does.

    Raises:
        ValueError: the datetime is naive; a naive time names no moment.

    >>> to_ms(datetime(2013, 1, 1, tzinfo=UTC))
    1356998400000
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; add one, e.g. 'Z' for UTC")
    since = moment - _EPOCH
    us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return (abs(us) + 500) // 1_000 * (1 if us >= 0 else -1)


def duration_ms(text: str | int) -> int:
    """Milliseconds of a duration like `"90s"`, `"15min"`, `"6h"`, `"30d"`; an integer is taken as milliseconds.

    Raises:
        ValueError: no such unit, not a positive whole number, or more than a thousand years.

    >>> duration_ms("6h")
    21600000
    """
    if isinstance(text, int):
        amount, unit = text, "ms"
    else:
        digits = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = text.strip()[len(digits) :]
        if not digits.isdecimal() or unit not in _UNITS_MS:
            raise ValueError(f"{text!r} is not a duration; write a whole number and one of {', '.join(_UNITS_MS)}, e.g. '6h'")
        amount = int(digits)
    if amount <= 0:
        raise ValueError(f"{text!r} is not a positive duration")
    if (lasting_ms := amount * _UNITS_MS[unit]) > _LONGEST_MS:
        raise ValueError(f"{text!r} is more than a thousand years")  # no calendar could name its end
    return lasting_ms


def duration_text(ms: int) -> str:
    """The shortest exact text of a duration.

    >>> duration_text(5_400_000)
    '90min'
    """
    for unit in ("d", "h", "min", "s"):
        if ms % _UNITS_MS[unit] == 0:
            return f"{ms // _UNITS_MS[unit]}{unit}"
    return f"{ms}ms"
