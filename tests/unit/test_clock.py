"""Durations and times: what is read, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS, duration_ms, duration_text, to_ms, to_utc


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("250ms", 250),
        ("90s", 90_000),
        ("2m", 2 * MINUTE_MS),
        ("15min", 15 * MINUTE_MS),
        (" 6h ", 6 * HOUR_MS),
        ("30d", 30 * DAY_MS),
        ("1w", 7 * DAY_MS),
        (5, 5),
    ],
)
def test_a_duration_is_read(text: str | int, want: int) -> None:
    assert duration_ms(text) == want


@pytest.mark.parametrize("text", ["", "h", "6", "6 h", "1.5h", "-1h", "6hours", "h6", "6H"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration; write a whole number and one of .*'6h'"):
        duration_ms(text)


@pytest.mark.parametrize("text", ["0h", 0, -1])
def test_a_duration_is_positive(text: str | int) -> None:
    with pytest.raises(ValueError, match="is not a positive duration"):
        duration_ms(text)


@given(st.integers(1, 10_000 * DAY_MS))
def test_the_text_of_a_duration_is_read_back(ms: int) -> None:
    assert duration_ms(duration_text(ms)) == ms


@given(st.integers(0, 4_102_444_800_000))
def test_a_time_survives_the_way_to_a_datetime_and_back(ms: int) -> None:
    assert to_ms(to_utc(ms)) == ms


def test_a_time_zone_counts_and_a_naive_time_is_refused() -> None:
    east = datetime(2013, 1, 1, 5, tzinfo=timezone(timedelta(hours=5)))
    assert to_ms(east) == to_ms(datetime(2013, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="has no time zone"):
        to_ms(datetime(2013, 1, 1))
