"""The project under chaos: taps that come from Kafka, gates that come over HTTP; `tidemill work` and `serve` load it."""

from __future__ import annotations

import os

from pydantic import BaseModel

from tidemill import Kafka, Project, Stream, View, count, distinct, last, max_, quantile, sum_

TOPIC = "taps"
BOOTSTRAP = "CHAOS_BOOTSTRAP"  # the environment variable that says where the broker is; without one nothing is copied
DAY_MS = 86_400_000


class Tap(BaseModel):
    """Somebody passes."""

    tap_id: str
    at: int
    card: str
    fare: float


def _stream(name: str, source: Kafka | None = None) -> Stream:
    return Stream(name, schema=Tap, event_time="at", event_id="tap_id", allowed_lateness="7d", source=source)


def _view(stream: Stream) -> View:
    features = {
        "n": count(over="1d"),
        "sum": sum_("fare", over="1d"),
        "max": max_("fare", over="1d"),
        "last": last("fare", over="1d"),
        "kinds": distinct("fare", over="1d"),
        "median": quantile("fare", 0.5, over="1d"),
    }
    return View(f"{stream.name}_by_card", stream, entity="card", features=features)


streams = [_stream("taps", Kafka(TOPIC, os.environ[BOOTSTRAP]) if BOOTSTRAP in os.environ else None), _stream("gates")]
project = Project("chaos", streams=streams, views=[_view(stream) for stream in streams])
