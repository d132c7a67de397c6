"""Spot checks are computed by hand from the clocks of both airports; a test of the whole table says how far they carry."""

import importlib.util
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from examples.flights.tables import DAY_ONE_MS, Drift, data_folder, first_reading, read_flights, read_weather
from tidemill.clock import DAY_MS, MINUTE_MS, to_ms, to_utc
from tidemill.errors import ProjectError


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return read_flights()


@pytest.fixture(scope="module")
def written() -> pd.DataFrame:
    """By flight_id, what the project itself does not read."""
    columns = ["time_hour", "minute", "carrier", "flight", "origin", "air_time", "arr_time"]
    raw = pd.read_csv(data_folder() / "flights.csv.zip", usecols=columns)
    start = raw["time_hour"].str.slice(0, 14) + raw["minute"].astype(str).str.zfill(2)
    return raw.set_index(start + "Z-" + raw["carrier"] + "-" + raw["flight"].astype(str) + "-" + raw["origin"])


def _ms(text: str) -> int:
    return to_ms(datetime.fromisoformat(text))


def test_every_flight_is_there_once(flights: pd.DataFrame) -> None:
    assert len(flights) == 336_776
    assert flights["flight_id"].is_unique
    assert flights["dep_delay"].notna().sum() == 328_521
    assert flights["arr_delay"].notna().sum() == 327_346


def test_ids_are_readable_and_in_order_of_time(flights: pd.DataFrame) -> None:
    assert flights["flight_id"].iloc[0] == "2013-01-01T10:15Z-UA-1545-EWR"
    assert flights["flight_id"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("flight_id", "scheduled_arrival", "departed", "arrived"),
    [
        # 5:15 EST, to Houston 8:19 CST (UTC-6); left 2 min late, arrived 11 min late
        ("2013-01-01T10:15Z-UA-1545-EWR", "2013-01-01T14:19Z", "2013-01-01T10:17Z", "2013-01-01T14:30Z"),
        # the night clocks go forward, before they do: 21:59 EST, to Fort Lauderdale 0:56 EST
        ("2013-03-10T02:59Z-B6-11-JFK", "2013-03-10T05:56Z", "2013-03-10T03:30Z", "2013-03-10T06:14Z"),
        # the same night across the change: 23:59 EST, to Aguadilla 4:38 AST (UTC-4, no summer time)
        ("2013-03-10T04:59Z-B6-727-JFK", "2013-03-10T08:38Z", "2013-03-10T05:53Z", "2013-03-10T09:04Z"),
        # ... and to Los Angeles, 0:50 PST, where the clocks change three hours later
        ("2013-03-10T02:35Z-AA-185-JFK", "2013-03-10T08:50Z", "2013-03-10T02:34Z", "2013-03-10T08:51Z"),
        # the clock that was not put forward: arrival written down as 2:03, a time that night did not have
        ("2013-03-10T02:45Z-B6-35-JFK", "2013-03-10T05:34Z", "2013-03-10T04:06Z", "2013-03-10T07:03Z"),
        # the night clocks go back: 23:59 EDT, to Ponce 3:45 AST
        ("2013-11-03T03:59Z-B6-745-JFK", "2013-11-03T07:45Z", "2013-11-03T03:46Z", "2013-11-03T07:53Z"),
    ],
)
def test_times_are_right(flights: pd.DataFrame, flight_id: str, scheduled_arrival: str, departed: str, arrived: str) -> None:
    row = flights.set_index("flight_id").loc[flight_id]
    assert (row["scheduled_arrival"], row["departed_at"], row["arrived_at"]) == (_ms(scheduled_arrival), _ms(departed), _ms(arrived))


@pytest.mark.parametrize(
    ("after", "clock", "zone", "reading"),
    [
        ("2013-07-01T14:00Z", 14 * 60 + 55, "Pacific/Honolulu", "2013-07-02T00:55Z"),  # UTC-10 all year
        ("2013-07-01T16:00Z", 11 * 60, "America/Phoenix", "2013-07-01T18:00Z"),  # UTC-7 all year
        ("2013-07-01T16:00Z", 11 * 60, "America/Denver", "2013-07-01T17:00Z"),  # UTC-6 in summer
        ("2013-03-10T06:30Z", 3 * 60 + 10, "America/New_York", "2013-03-10T07:10Z"),  # 1:30 EST to 3:10 EDT: 40 min
        ("2013-11-03T05:30Z", 2 * 60 + 10, "America/New_York", "2013-11-03T07:10Z"),  # 1:30 EDT to 2:10 EST: 100 min
        ("2013-05-01T12:00Z", 8 * 60, "America/New_York", "2013-05-01T12:00Z"),  # now
    ],
)
def test_first_reading_of_a_clock(after: str, clock: int, zone: str, reading: str) -> None:
    assert first_reading(np.array([_ms(after)]), np.array([clock]), zone).tolist() == [_ms(reading)]


def test_nobody_arrives_before_the_air_time_is_over(flights: pd.DataFrame, written: pd.DataFrame) -> None:
    arrived = flights[flights["arr_delay"].notna()]
    on_ground = (arrived["arrived_at"] - arrived["departed_at"]) / MINUTE_MS - arrived["flight_id"].map(written["air_time"])
    assert on_ground.min() >= 5
    assert on_ground.max() <= 240


def test_arrivals_agree_with_the_clocks_that_wrote_them_down(flights: pd.DataFrame, written: pd.DataFrame) -> None:
    eastern = flights[flights["arr_delay"].notna() & flights["dest"].isin(["ATL", "BOS", "MCO", "FLL", "PBI", "CLT"])]
    clock = eastern["flight_id"].map(written["arr_time"]).to_numpy(np.int64)
    minutes = clock // 100 * 60 + clock % 100
    wall = pd.to_datetime(eastern["arrived_at"], unit="ms", utc=True).dt.tz_convert("America/New_York").dt
    wrong = (wall.hour * 60 + wall.minute).to_numpy() != minutes % 1_440
    assert eastern["flight_id"][wrong].tolist() == ["2013-03-10T02:45Z-B6-35-JFK"]


def test_weather_has_one_row_for_each_airport_and_hour() -> None:
    weather = read_weather()
    assert len(weather) == 26_115
    assert weather["observation_id"].is_unique
    # the hour from 1:00 to 2:00 on the night clocks go back happens twice, an hour apart
    assert {"2013-11-03T05Z-EWR", "2013-11-03T06Z-EWR"} <= set(weather["observation_id"])
    assert to_utc(int(weather["observed_at"].iloc[0])).isoformat() == "2013-01-01T06:00:00+00:00"


def test_drift_changes_arrivals_of_its_carriers_from_its_day_and_nothing_else(flights: pd.DataFrame) -> None:
    drifted = read_flights(Drift(from_day=28, carriers=("B6",), extra_delay_min=45))
    touched = (flights["carrier"] == "B6") & (flights["scheduled_departure"] >= DAY_ONE_MS + 28 * DAY_MS) & flights["arr_delay"].notna()
    assert touched.sum() > 40_000
    assert (drifted["arr_delay"] - flights["arr_delay"])[touched].eq(45).all()
    assert (drifted["arrived_at"] - flights["arrived_at"])[touched].eq(45 * MINUTE_MS).all()
    changed = ["arr_delay", "arrived_at"]
    pd.testing.assert_frame_equal(drifted[~touched][changed], flights[~touched][changed])
    pd.testing.assert_frame_equal(drifted.drop(columns=changed), flights.drop(columns=changed))


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ProjectError, match=r"tidemill\[demo\]"):
        data_folder()
