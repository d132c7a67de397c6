"""A time as commands print it, and are given it."""

from __future__ import annotations

from tidemill.clock import moment_ms, to_utc
from tidemill.errors import InputError
from tidemill.events.event import MAX_TIME_MS


def moment(at_ms: int | None) -> str:
    """To the minute, in UTC; 0 and None have not been yet.

    >>> moment(1_356_998_400_000), moment(0)
    ('2013-01-01 00:00', 'never')
    """
    return f"{to_utc(at_ms):%Y-%m-%d %H:%M}" if at_ms else "never"


def read_moment(text: str) -> int:
    """Milliseconds since the epoch of a time that `--at` names.

    Raises:
        InputError: it names none, or one before 1970.

    >>> read_moment("2026-03-01 10:00"), read_moment("2026-03-01T11:00:00+01:00"), read_moment("1772359200000")
    (1772359200000, 1772359200000, 1772359200000)
    """
    found = moment_ms(text)
    if found is None or not 0 <= found <= MAX_TIME_MS:
        raise InputError(f"{text!r} is no time of 1970 to 2100; write e.g. 2026-03-01T10:00:00Z, or milliseconds since 1970", where="--at")
    return found
