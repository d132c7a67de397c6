"""Prometheus metrics of a server: what this process has done, and what the stores say when they are asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tidemill.project import Workspace
from tidemill.serving.standing import StandingCollector
from tidemill.stages import Facts

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ServerMetrics:
    """Counters of this process, and the standing of the whole project at the moment of each scrape."""

    def __init__(self, workspace: Workspace) -> None:
        self._registry = CollectorRegistry()
        mine = {"registry": self._registry}
        self._events = Counter("tidemill_door_events", "Events that came to the door.", ["stream"], **mine)
        self._rejected = Counter("tidemill_door_rejected", "Events of them that the door named as wrong.", ["stream"], **mine)
        self._requests = Counter("tidemill_http_requests", "Requests answered.", ["route", "status"], **mine)
        self._request = Histogram("tidemill_http_seconds", "Time to answer a request.", ["route"], buckets=_SECONDS, **mine)
        self._going = Gauge("tidemill_http_going", "Requests that are being answered.", **mine)
        self._predict = Histogram("tidemill_predict_seconds", "Time to answer a predict request.", ["model"], buckets=_SECONDS, **mine)
        self._rows = Counter("tidemill_predictions", "Predictions answered.", ["model"], **mine)
        self._stage = Histogram("tidemill_stage_seconds", "Time of one stage of the work.", ["stage"], buckets=_SECONDS, **mine)
        self._registry.register(StandingCollector(workspace))

    def received(self, stream: str, events: int, rejected: int = 0) -> None:
        """Count events at the door."""
        self._events.labels(stream).inc(events)
        self._rejected.labels(stream).inc(rejected)

    def predicted(self, model: str, rows: int) -> None:
        """Count predictions."""
        self._rows.labels(model).inc(rows)

    @contextmanager
    def predicting(self, model: str) -> Iterator[None]:
        """Time one predict request."""
        with self._predict.labels(model).time():
            yield

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count a request while it is being answered."""
        with self._going.track_inprogress():
            yield

    def answered(self, route: str, status: int, took_s: float) -> None:
        """Count a request and its time; a route is one of the few that there are."""
        self._requests.labels(route, str(status)).inc()
        self._request.labels(route).observe(took_s)

    @contextmanager
    def stage(self, name: str, _facts: Facts) -> Iterator[None]:
        """Time one stage; see `tidemill.stages.listening`."""
        begin_s = time.perf_counter()
        try:
            yield
        finally:
            self._stage.labels(name).observe(time.perf_counter() - begin_s)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)
