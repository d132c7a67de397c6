"""A time as commands print it, and are given it."""

from __future__ import annotations

from tidemill.clock import moment_ms, to_utc
from tidemill.errors import InputError


def moment(at_ms: int | None, *, seconds: bool = False) -> str:
    """To the minute, or to the second; 0 and None have not been yet.

    >>> moment(1_356_998_400_000), moment(1_356_998_401_000, seconds=True), moment(0)
    ('2013-01-01 00:00 UTC', '2013-01-01 00:00:01 UTC', 'never')
    """
    return f"{to_utc(at_ms):{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'} UTC}" if at_ms else "never"


def read_moment(text: str) -> int:
    """Milliseconds since the epoch of a time that `--at` names.

    Raises:
        InputError: it names none, or one before 1970.

    >>> read_moment("2026-03-01 10:00"), read_moment("2026-03-01T11:00:00+01:00"), read_moment("1772359200000")
    (1772359200000, 1772359200000, 1772359200000)
    """
    from tidemill.events.event import MAX_TIME_MS

    found = moment_ms(text)
    if found is None or not 0 <= found <= MAX_TIME_MS:
        raise InputError(f"{text!r} is no time of 1970 to 2100; write e.g. 2026-03-01T10:00:00Z, or milliseconds since 1970", where="--at")
    return found
