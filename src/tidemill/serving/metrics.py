"""Prometheus metrics of a server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tidemill.project import Workspace

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class ServerMetrics:
    """Counters of this process, and the books as they stand when asked."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._events = Counter("tidemill_door_events", "Events that came to the door.", ["stream"], registry=self._registry)
        self._predict = Histogram(
            "tidemill_predict_seconds", "Time to answer a predict request.", ["model"], buckets=_SECONDS, registry=self._registry
        )
        self._books = Gauge("tidemill_events", "The books: events of a stream by outcome.", ["stream", "outcome"], registry=self._registry)

    def received(self, stream: str, events: int) -> None:
        """Count events at the door."""
        self._events.labels(stream).inc(events)

    @contextmanager
    def predicting(self, model: str) -> Iterator[None]:
        """Time one predict request."""
        begin_s = time.perf_counter()
        try:
            yield
        finally:
            self._predict.labels(model).observe(time.perf_counter() - begin_s)

    def render(self, workspace: Workspace) -> bytes:
        """The text that Prometheus reads."""
        for stream, books in workspace.books().items():
            for outcome in ("received", "applied", "duplicate", "late", "rejected", "pending"):
                self._books.labels(stream, outcome).set(getattr(books, outcome))
        return generate_latest(self._registry)
