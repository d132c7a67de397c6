"""A time as commands print it."""

from __future__ import annotations

from tidemill.clock import to_utc


def moment(at_ms: int | None) -> str:
    """To the minute, in UTC; 0 and None have not been yet.

    >>> moment(1_356_998_400_000), moment(0)
    ('2013-01-01 00:00', 'never')
    """
    return f"{to_utc(at_ms):%Y-%m-%d %H:%M}" if at_ms else "never"
