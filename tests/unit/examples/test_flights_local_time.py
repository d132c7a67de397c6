from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from examples.flights.local_time import day_of_week, hour_of_day, scheduled_minutes
from tidemill.clock import to_ms

NEW_YORK = ZoneInfo("America/New_York")


def test_clock_and_calendar_agree_with_the_standard_library_over_the_year() -> None:
    moments = [datetime(2012, 12, 31, 10, 15, tzinfo=UTC) + timedelta(minutes=37 * step) for step in range(15_000)]
    scheduled = np.array([to_ms(moment) for moment in moments], dtype=np.float64)
    local = [moment.astimezone(NEW_YORK) for moment in moments]
    assert np.allclose(hour_of_day(scheduled), [moment.hour + moment.minute / 60 for moment in local])
    assert day_of_week(scheduled).tolist() == [moment.weekday() for moment in local]


def test_one_row_gives_what_many_give() -> None:
    scheduled = np.array([1_362_898_740_000.0, 1_383_451_140_000.0, 1_372_651_200_000.0])
    for function in (hour_of_day, day_of_week):
        assert function(scheduled).tolist() == [function(scheduled[place : place + 1])[0] for place in range(3)]


def test_the_night_clocks_go_forward_has_no_two_o_clock() -> None:
    before, after = (to_ms(datetime.fromisoformat(text)) for text in ("2013-03-10T06:59Z", "2013-03-10T07:00Z"))
    assert hour_of_day(np.array([before, after], dtype=np.float64)).round(4).tolist() == [1.9833, 3.0]


def test_scheduled_minutes() -> None:
    assert scheduled_minutes(np.array([60_000.0]), np.array([3_660_000.0])).tolist() == [60.0]
