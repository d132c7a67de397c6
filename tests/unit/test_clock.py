"""Times and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidemill.clock import DAY_MS, duration_ms, duration_text, to_ms, to_utc, wall_ms


@given(ms=st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_moment_is_its_milliseconds(ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    assert to_ms(moment) == ms
    assert to_utc(to_ms(moment)) == moment


def test_a_zone_does_not_move_a_moment() -> None:
    assert to_ms(datetime(2013, 1, 1, tzinfo=timezone(timedelta(hours=-5)))) == to_ms(datetime(2013, 1, 1, 5, tzinfo=UTC))


@settings(max_examples=20)
@given(moments=st.lists(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.timezones()), min_size=5))
@example(moments=[datetime(2013, 1, 1, 0, 0, 0, 500, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999_500, tzinfo=UTC)])
def test_microseconds_are_rounded_as_duckdb_rounds_them(moments: list[datetime]) -> None:
    with duckdb.connect() as connection:
        connection.register("t", pa.table({"x": pa.array(moments, pa.timestamp("us", tz="UTC"))}))
        assert connection.execute("select epoch_ms(x) from t").fetchall() == [(to_ms(moment),) for moment in moments]


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2013-01-01T00:00:00 has no time zone; add one, e.g. 'Z' for UTC"):
        to_ms(datetime(2013, 1, 1))


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        (1, 1),
        ("7ms", 7),
        ("90s", 90_000),
        ("15min", 900_000),
        ("15m", 900_000),
        ("6h", 21_600_000),
        ("30d", 2_592_000_000),
        ("2w", 1_209_600_000),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str | int, ms: int) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "h", "6", "6 hours", "-1h", "1.5h", "0s", 0, -5, "1h30min", "6H", "²h"])
def test_anything_else_is_refused(text: str | int) -> None:
    with pytest.raises(ValueError, match=r"is not a (positive )?duration"):
        duration_ms(text)


def test_a_duration_has_an_end_that_a_calendar_can_name() -> None:
    assert duration_ms("365250d") == 365_250 * DAY_MS
    with pytest.raises(ValueError, match="is more than a thousand years"):
        duration_ms("365251d")


@given(ms=st.integers(1, 10**13))
def test_the_text_of_a_duration_is_that_duration(ms: int) -> None:
    assert duration_ms(duration_text(ms)) == ms


def test_the_wall_clock_is_in_milliseconds() -> None:
    before = datetime.now(UTC)
    assert to_ms(before) <= wall_ms() + 1 <= to_ms(datetime.now(UTC)) + 2
