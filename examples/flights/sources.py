"""The five streams as a source would send them: JSON text, written in chunks, because a million texts at once is too much."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from examples.flights.faults import LATE_COPY, MALFORMED, SPOILS, Times, spoil
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS

IntArray = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]

LEAD_MS = HOUR_MS  # a flight is asked about one hour before its scheduled departure
PUBLISHED_AHEAD_MS = DAY_MS
WEATHER_DELAY_MS = 10 * MINUTE_MS

_SCHEDULED = ("carrier", "flight", "tailnum", "origin", "dest", "distance_mi")
_KEYS = ("carrier", "origin", "dest", "tailnum")
_MEASURED = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One stream's events as a table.

    Args:
        stream: its name.
        event_id: the id field.
        event_time: the event time field.
        number: a field that must be a number, to be spoiled.
        moments: the time fields, int64 ms in the table.
        others: the fields that are neither id nor time.
        table: (n,) rows, by when they become known.
        times: of each event, for the faults.
    """

    stream: str
    event_id: str
    event_time: str
    number: str
    moments: tuple[str, ...]
    others: tuple[str, ...]
    table: pd.DataFrame
    times: Times

    def payloads(self, rows: IntArray) -> list[str]:
        """The JSON texts of some rows."""
        part = self.table.iloc[rows]
        names = [self.event_id, *self.moments, *self.others]
        columns: list[Iterable[str]] = [_json_texts(part[self.event_id])]
        columns += [(f'"{text}"' for text in iso(part[name].to_numpy(np.int64))) for name in self.moments]
        columns += [_json_texts(part[name]) for name in self.others]
        template = "{" + ", ".join(f'"{name}": %s' for name in names) + "}"
        return list(map(template.__mod__, zip(*columns, strict=True)))

    def faulty(self, payload: str, row: int, kind: int, known_at_ms: int) -> str:
        """What a copy of an event says instead; one copy in two of the same id repeats it to the letter."""
        if kind == MALFORMED:
            how = SPOILS[row % len(SPOILS)]
            return spoil(payload, how, event_time=self.event_time, number=self.number, known_at_ms=known_at_ms)
        fields = json.loads(payload)
        if kind == LATE_COPY:
            return json.dumps(fields | {self.event_id: f"{fields[self.event_id]}-again"})
        return json.dumps(fields | {self.number: 999}) if row % 2 else payload


def iso(moments_ms: IntArray) -> list[str]:
    """ISO 8601 in UTC, to the second.

    >>> iso(np.array([1_357_016_400_000]))
    ['2013-01-01T05:00:00Z']
    """
    seconds = moments_ms.astype("datetime64[ms]").astype("datetime64[s]")
    return [str(text) for text in np.datetime_as_string(seconds, timezone="UTC")]


def schedules(table: pd.DataFrame) -> Source:
    """Every scheduled flight, published a day ahead and needed two hours ahead, however delayed."""
    table = table.assign(published_at=table["scheduled_departure"] - PUBLISHED_AHEAD_MS)
    published = table["published_at"].to_numpy(np.int64)
    times = Times(published, published, published + PUBLISHED_AHEAD_MS - LEAD_MS - HOUR_MS)
    moments = ("published_at", "scheduled_departure", "scheduled_arrival")
    return Source("schedules", "flight_id", "published_at", "distance_mi", moments, _SCHEDULED, table, times)


def departures(table: pd.DataFrame) -> Source:
    """Every departure, known when it happens."""
    return _happened("departures", "departed_at", "dep_delay", table[table["dep_delay"].notna()])


def arrivals(table: pd.DataFrame) -> Source:
    """Every arrival with a delay, known when it happens."""
    return _happened("arrivals", "arrived_at", "arr_delay", table[table["arr_delay"].notna()])


def weather(table: pd.DataFrame) -> Source:
    """Every hourly observation, known ten minutes after its hour."""
    hour = table["observed_at"].to_numpy(np.int64)
    others = ("origin", *_MEASURED)
    return Source("weather", "observation_id", "observed_at", "temp", ("observed_at",), others, table, _times(hour, WEATHER_DELAY_MS))


def planes(table: pd.DataFrame, known_ms: int) -> Source:
    """What the register says of every aircraft, known from one moment on."""
    table = table.assign(row_id=table["tailnum"] + "-1", valid_from=known_ms)
    moments = table["valid_from"].to_numpy(np.int64)
    return Source("planes", "row_id", "valid_from", "seats", ("valid_from",), ("tailnum", "built", "seats"), table, _times(moments))


def plain(column: pd.Series) -> Texts:
    """Python values, None where missing, whole numbers as int: what JSON can hold."""
    whole = column.dtype.kind == "f" and column.name not in _MEASURED
    values = column.astype("Int64").astype(object) if whole else column.astype(object)
    return np.asarray(values.where(column.notna(), None), dtype=object)


def _happened(stream: str, event_time: str, delay: str, table: pd.DataFrame) -> Source:
    table = table.sort_values(event_time, kind="stable", ignore_index=True)
    times = _times(table[event_time].to_numpy(np.int64))
    return Source(stream, "flight_id", event_time, delay, (event_time,), (*_KEYS, delay), table, times)


def _times(moments: IntArray, delay_ms: int = 0) -> Times:
    return Times(moments, moments + delay_ms, np.full(len(moments), np.iinfo(np.int64).max))


def _json_texts(column: pd.Series) -> Texts:
    # few distinct values each: encode those once
    codes, distinct = pd.factorize(plain(column), use_na_sentinel=True)
    texts = np.array([*(json.dumps(value) for value in distinct.tolist()), "null"], dtype=object)
    return np.asarray(texts[codes], dtype=object)
