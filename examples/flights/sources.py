"""The four streams as a source would send them: JSON text, written in chunks, because a million texts at once is too much."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from examples.flights.faults import DUPLICATE, LATE_COPY, MALFORMED, SPOILS, Times, spoil
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS

IntArray = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]

LEAD_MS = HOUR_MS  # a flight is asked about one hour before its scheduled departure
PUBLISHED_AHEAD_MS = DAY_MS
WEATHER_DELAY_MS = 10 * MINUTE_MS

_SCHEDULE_TEXTS = ("carrier", "flight", "tailnum", "origin", "dest", "distance_mi", "plane_year", "seats")
_KEY_TEXTS = ("carrier", "origin", "dest", "tailnum")
_MEASURED = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One stream's events as columns.

    Args:
        stream: its name.
        event_id: the id field.
        event_time: the event time field.
        number: a field that must be a number, to be spoiled.
        ids: (n,) the ids.
        texts: of each other field, (n,) JSON texts.
        moments: of each time field, (n,) int64 ms.
        times: of each event, for the faults.
    """

    stream: str
    event_id: str
    event_time: str
    number: str
    ids: Texts
    texts: Mapping[str, Texts]
    moments: Mapping[str, IntArray]
    times: Times

    def payloads(self, rows: IntArray) -> list[str]:
        """The JSON texts of some rows."""
        template = ", ".join(
            [f'"{self.event_id}": "%s"', *(f'"{name}": "%s"' for name in self.moments), *(f'"{name}": %s' for name in self.texts)]
        )
        columns = [self.ids[rows], *(iso(column[rows]) for column in self.moments.values()), *(column[rows] for column in self.texts.values())]
        return list(map(("{" + template + "}").__mod__, zip(*columns, strict=True)))

    def payload(self, row: int, kind: int, known_at_ms: int) -> str:
        """The JSON text of one faulty event."""
        payload = self.payloads(np.array([row]))[0]
        if kind == MALFORMED:
            how = SPOILS[row % len(SPOILS)]
            return spoil(payload, how, event_time=self.event_time, number=self.number, known_at_ms=known_at_ms)
        if kind == LATE_COPY:
            return json.dumps(json.loads(payload) | {self.event_id: f"{self.ids[row]}-again"})
        if kind == DUPLICATE and row % 2:
            return json.dumps(json.loads(payload) | {self.number: 999})
        return payload


def iso(moments_ms: IntArray) -> list[str]:
    """ISO 8601 in UTC, to the second.

    >>> iso(np.array([1_357_016_400_000]))
    ['2013-01-01T05:00:00Z']
    """
    seconds = moments_ms.astype("datetime64[ms]").astype("datetime64[s]")
    return [str(text) for text in np.datetime_as_string(seconds, timezone="UTC")]


def schedules(table: pd.DataFrame) -> Source:
    """Every scheduled flight, published a day ahead and needed two hours ahead, however delayed."""
    scheduled = table["scheduled_departure"].to_numpy()
    published = scheduled - PUBLISHED_AHEAD_MS
    moments = {"published_at": published, "scheduled_departure": scheduled, "scheduled_arrival": table["scheduled_arrival"].to_numpy()}
    times = Times(published, published, scheduled - LEAD_MS - HOUR_MS)
    return Source("schedules", "flight_id", "published_at", "distance_mi", _ids(table), _texts(table, _SCHEDULE_TEXTS), moments, times)


def departures(table: pd.DataFrame) -> Source:
    """Every departure, known when it happens."""
    return _happened("departures", table[table["dep_delay"].notna()], "departed_at", "dep_delay")


def arrivals(table: pd.DataFrame) -> Source:
    """Every arrival with a delay, known when it happens."""
    return _happened("arrivals", table[table["arr_delay"].notna()], "arrived_at", "arr_delay")


def _happened(stream: str, table: pd.DataFrame, event_time: str, delay: str) -> Source:
    table = table.sort_values(event_time, kind="stable")
    moments = table[event_time].to_numpy()
    return Source(stream, "flight_id", event_time, delay, _ids(table), _texts(table, (*_KEY_TEXTS, delay)), {event_time: moments}, _times(moments))


def weather(table: pd.DataFrame) -> Source:
    """Every hourly observation, known ten minutes after its hour."""
    hour = table["observed_at"].to_numpy()
    ids = table["observation_id"].to_numpy(dtype=object)
    texts = _texts(table, ("origin", *_MEASURED))
    return Source("weather", "observation_id", "observed_at", "temp", ids, texts, {"observed_at": hour}, _times(hour, WEATHER_DELAY_MS))


def _times(moments: IntArray, delay_ms: int = 0) -> Times:
    return Times(moments, moments + delay_ms, np.full(len(moments), np.iinfo(np.int64).max))


def _ids(table: pd.DataFrame) -> Texts:
    return table["flight_id"].to_numpy(dtype=object)


def _texts(table: pd.DataFrame, names: Sequence[str]) -> dict[str, Texts]:
    return {name: _json_texts(plain(table[name])) for name in names}


def _json_texts(values: Texts) -> Texts:
    # few distinct values each: encode those once
    codes, distinct = pd.factorize(values, use_na_sentinel=True)
    texts = np.array([*(json.dumps(value) for value in distinct.tolist()), "null"], dtype=object)
    return np.asarray(texts[codes], dtype=object)


def plain(column: pd.Series) -> Texts:
    """Python values, None where missing, whole numbers as int: what JSON can hold."""
    whole = column.dtype.kind == "f" and bool((column.dropna() % 1 == 0).all()) and column.name not in _MEASURED
    values = column.astype("Int64").astype(object) if whole else column.astype(object)
    return np.asarray(values.where(column.notna(), None), dtype=object)
