"""Will a flight from New York arrive 15 minutes late or more? Asked one hour before its scheduled departure.

Five streams, all flights of 2013: `schedules` (known a day ahead), `departures` and `arrivals` (known when they happen; the
arrival is also the label), `weather` (known ten minutes after its hour), and `planes`, what the register of aircraft says. No
feature can know the future: views and the table answer from the events known by the time of the question.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from examples.flights import recording
from examples.flights.estimator import make_estimator
from examples.flights.local_time import day_of_week, hour_of_day, scheduled_minutes
from examples.flights.tables import Drift
from tidemill import (
    Label,
    Model,
    Monitor,
    Project,
    Recording,
    Requests,
    RetrainPolicy,
    Stream,
    Table,
    View,
    col,
    count,
    derive,
    max_,
    mean,
)
from tidemill.clock import HOUR_MS


class Schedule(BaseModel):
    """A flight an airline has published; no tail number where the aircraft is not known yet."""

    flight_id: str
    published_at: datetime
    scheduled_departure: datetime
    scheduled_arrival: datetime
    carrier: str
    flight: int
    tailnum: str | None
    origin: str
    dest: str
    distance_mi: int


class Departure(BaseModel):
    """A flight that has left the gate; early is negative."""

    flight_id: str
    departed_at: datetime
    carrier: str
    origin: str
    dest: str
    tailnum: str
    dep_delay: int


class Arrival(BaseModel):
    """A flight that has reached its gate; early is negative."""

    flight_id: str
    arrived_at: datetime
    carrier: str
    origin: str
    dest: str
    tailnum: str
    arr_delay: int


class Weather(BaseModel):
    """One hour's observation at an airport: degrees Fahrenheit, miles an hour, inches, millibar, miles."""

    observation_id: str
    observed_at: datetime
    origin: str
    temp: float | None
    dewp: float | None
    humid: float | None
    wind_speed: float | None
    wind_gust: float | None
    precip: float | None
    pressure: float | None
    visib: float | None


class Plane(BaseModel):
    """What the register says of an aircraft from a time on; `built` is the year."""

    row_id: str
    valid_from: datetime
    tailnum: str
    built: int | None
    seats: int | None


class FlightRequest(BaseModel):
    """What is asked: a scheduled flight, as published."""

    flight_id: str
    scheduled_departure: datetime
    scheduled_arrival: datetime
    carrier: str
    tailnum: str | None
    origin: str
    dest: str
    distance_mi: int


schedules = Stream("schedules", schema=Schedule, event_time="published_at", event_id="flight_id")
departures = Stream("departures", schema=Departure, event_time="departed_at", event_id="flight_id")
arrivals = Stream("arrivals", schema=Arrival, event_time="arrived_at", event_id="flight_id")
weather = Stream("weather", schema=Weather, event_time="observed_at", event_id="observation_id")
planes = Stream("planes", schema=Plane, event_time="valid_from", event_id="row_id")

ENTITIES: dict[str, str | tuple[str, ...]] = {
    "origin": "origin",
    "carrier": "carrier",
    "origin_carrier": ("origin", "carrier"),
    "dest": "dest",
    "aircraft": "tailnum",
}


def delay_views(stream: Stream, delay: str) -> list[View]:
    """How late things run, by each entity: one view an entity, so that every model that asks shares its tiles."""
    # the 1 h and 3 h windows share 5 min tiles: half as many rows to write as with two sizes
    features = {}
    for window, bucket in (("1h", "5min"), ("3h", "5min"), ("24h", "1h")):
        features[f"n_{window}"] = count(over=window, bucket=bucket)
        features[f"mean_delay_{window}"] = mean(delay, over=window, bucket=bucket)
        features[f"late_share_{window}"] = mean(col(delay) >= 15, over=window, bucket=bucket)
    features["max_delay_3h"] = max_(delay, over="3h", bucket="5min")
    return [View(f"{name}_{stream.name}", stream, entity=entity, features=features) for name, entity in ENTITIES.items()]


delay_features = [*delay_views(departures, "dep_delay"), *delay_views(arrivals, "arr_delay")]

origin_weather = View(
    "origin_weather",
    weather,
    entity="origin",
    features={
        **{f"{name}_3h": mean(name, over="3h") for name in ("temp", "dewp", "wind_speed", "visib", "precip", "pressure")},
        "wind_gust_3h": max_("wind_gust", over="3h"),
    },
)

views = [*delay_features, origin_weather]

plane = Table("plane", planes, key="tailnum", columns=["built", "seats"], description="The aircraft's year and size, as registered.")

late_arrival = Model(
    "late_arrival",
    request=FlightRequest,
    requests=Requests(schedules, at=col("scheduled_departure") - HOUR_MS),
    features=[
        *("carrier", "origin", "dest", "distance_mi"),
        plane,
        derive(hour_of_day),
        derive(day_of_week),
        derive(scheduled_minutes),
        *views,
    ],
    label=Label(arrivals, key="flight_id", value=col("arr_delay") >= 15, within="36h", absent="drop"),
    estimator=make_estimator,
    metric="log_loss",
    slices=("origin", "carrier"),
    monitor=Monitor(false_alarm_budget="1/30d", cycle="7d"),
    policy=RetrainPolicy(
        on=("error", "evidently"),
        cooldown="14d",
        min_labels=2000,
        # some 840 flights a day: the default `follow_ups` are after a day, two and five
        probation="3d",
        probation_labels=1_000,
    ),
)


def flights(days: int = recording.WHOLE_YEAR_DAYS, drift_from: int | None = None) -> Recording:
    """The first days of 2013, to replay; with `drift_from` the world changes on that day, for short demonstrations."""
    drift = None if drift_from is None else Drift(from_day=drift_from)
    return recording.flights(days, drift, retention_ms=project.retention_ms, model=late_arrival.name)


project = Project(
    "flights",
    streams=[schedules, departures, arrivals, weather, planes],
    views=views,
    tables=[plane],
    models=[late_arrival],
    recording=flights,
)
