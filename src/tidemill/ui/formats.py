"""Numbers and times as text, always with their unit; a missing value is a dash, never a zero."""

from __future__ import annotations

from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, to_utc
from tidemill.learning import Interval

DASH = "–"
MINUS = "\u2212"
NARROW = "\u202f"  # no-break space: a number and its unit stay on one line
TIED = "\u00a0"  # the same, as wide as a space: words that stay on one line


def amount(value: int | None) -> str:
    """A count with groups of three.

    >>> amount(1_234_567), amount(None)
    ('1,234,567', '–')
    """
    return DASH if value is None else f"{value:,}"


def decimal(value: float | None, places: int = 3) -> str:
    """A number with fixed places, so that columns line up; a small one of which they would leave a digit or none has three digits.

    >>> decimal(0.4531), decimal(0.0004531), decimal(0.0), decimal(0.004, 1)
    ('0.453', '0.000453', '0.000', '0.0')
    """
    if value is None:
        return DASH
    return f"{value:.3g}" if places > 2 and 0 < abs(value) < 10 ** (1 - places) else f"{value:,.{places}f}"


def figure(value: float | str | None) -> str:
    """A value of unknown size, to four digits; text as it is.

    >>> figure(1234.56), figure(0.0123456), figure(3.0), figure(None), figure("BOEING")
    ('1235', '0.01235', '3', '–', 'BOEING')
    """
    return DASH if value is None else value if isinstance(value, str) else f"{value:.4g}"


def interval(figure: Interval | None) -> str:
    """A figure with the ends of its interval, where it has them; both ends stay on one line.

    >>> interval(Interval(0.41234, 0.39, 0.43)).replace(TIED, "_"), interval(Interval(0.5)), interval(None)
    ('0.412 (0.390_to_0.430)', '0.500', '–')
    """
    if figure is None or figure.low is None or figure.high is None:
        return DASH if figure is None else decimal(figure.value)
    return f"{decimal(figure.value)} ({decimal(figure.low)}{TIED}to{TIED}{decimal(figure.high)})"


def metric(name: str) -> str:
    """A metric for a person.

    >>> metric("log_loss"), metric("auc")
    ('Log loss', 'AUC')
    """
    return name.upper() if len(name) <= 4 else name.replace("_", " ").capitalize()


def percent(share: float | None) -> str:
    """A share in percent, to one place; what is not nothing never reads as 0.

    >>> [percent(share).replace(NARROW, " ") for share in (0.0, 0.0001, 0.1234, 1.0)]
    ['0 %', '< 0.1 %', '12.3 %', '100 %']
    """
    if share is None:
        return DASH
    if 0 < share < 0.0005:
        return f"<{NARROW}0.1{NARROW}%"
    return f"{100 * share:.1f}".removesuffix(".0") + f"{NARROW}%"


def signed(value: float, places: int = 4) -> str:
    """A difference, its sign always shown.

    >>> signed(0.0213), signed(-0.0213).replace(MINUS, "-"), signed(-0.00001)
    ('+0.0213', '-0.0213', '0.0000')
    """
    text = f"{abs(value):.{places}f}"
    if not float(text):
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def rate(value: float | None) -> str:
    """Events a unit of time: whole from 10 on, one place below.

    >>> rate(1234.5), rate(3.21), rate(0.0), rate(None)
    ('1,234', '3.2', '0', '–')
    """
    if value is None:
        return DASH
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def seconds(value: float | None) -> str:
    """Seconds, with minutes above 100 s.

    >>> seconds(41.26).replace(NARROW, " "), seconds(130.0).replace(NARROW, " ")
    ('41.3 s', '2.2 min')
    """
    if value is None:
        return DASH
    return f"{value:.1f}{NARROW}s" if value < 100 else f"{value / 60:.1f}{NARROW}min"


def age(ms: int | None) -> str:
    """How long ago, in the largest unit that leaves two digits or so.

    >>> [age(ms).replace(NARROW, " ") for ms in (900, 59_000, 5_400_000, 200_000_000)]
    ['0.9 s', '59 s', '90 min', '56 h']
    """
    if ms is None:
        return DASH
    for limit_ms, unit_ms, unit in ((2 * MINUTE_MS, SECOND_MS, "s"), (2 * HOUR_MS, MINUTE_MS, "min"), (3 * DAY_MS, HOUR_MS, "h")):
        if ms < limit_ms:
            value = ms / unit_ms
            return f"{value:.1f}{NARROW}{unit}" if 0 < value < 10 else f"{value:.0f}{NARROW}{unit}"
    return f"{ms / DAY_MS:.1f}{NARROW}d"


def utc(ms: int | None) -> str:
    """A moment to the minute.

    >>> utc(1_356_998_400_000)
    '2013-01-01 00:00 UTC'
    """
    return DASH if ms is None else f"{to_utc(ms):%Y-%m-%d %H:%M} UTC"


def date(ms: int | None) -> str:
    """The day of a moment, UTC.

    >>> date(1_356_998_400_000)
    '2013-01-01'
    """
    return DASH if ms is None else f"{to_utc(ms):%Y-%m-%d}"


def iso(ms: int) -> str:
    """A moment for the `datetime` attribute of a time element.

    >>> iso(1_356_998_400_000)
    '2013-01-01T00:00:00Z'
    """
    return f"{to_utc(ms):%Y-%m-%dT%H:%M:%SZ}"
