"""Prometheus metrics of a server: what this process has done, and what the stores say when they are asked."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from prometheus_client import CollectorRegistry, Counter, generate_latest

from tidemill.project import Workspace
from tidemill.serving.series import Counts, Level, Times
from tidemill.serving.siblings import Siblings
from tidemill.serving.standing import StandingCollector
from tidemill.stages import Facts

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ServerMetrics:
    """Counters of this process, and the standing of the whole project at the moment of each scrape.

    Args:
        workspace: of the project.
        port: that other processes share, whose counters are told too; None where this is the only one.
    """

    def __init__(self, workspace: Workspace, port: int | None = None) -> None:
        self._registry = CollectorRegistry()
        self._events = Counter("tidemill_door_events", "Events that came to the door.", ["stream"], registry=None)
        self._rejected = Counter("tidemill_door_rejected", "Events of them that the door named as wrong.", ["stream"], registry=None)
        self._requests = Counts("tidemill_http_requests", "Requests answered.", ["route", "status"])
        self._request = Times("tidemill_http_seconds", "Time to answer a request.", "route", _SECONDS)
        self._going = Level("tidemill_http_going", "Requests that are being answered.")
        self._predict = Times("tidemill_predict_seconds", "Time to answer a predict request.", "model", _SECONDS)
        self._rows = Counts("tidemill_predictions", "Predictions answered.", ["model"])
        self._stage = Times("tidemill_stage_seconds", "Time of one stage of the work.", "stage", _SECONDS)
        own = (self._events, self._rejected, self._requests, self._request, self._going, self._predict, self._rows, self._stage)
        self._siblings = None if port is None else Siblings(workspace.home / "servers" / str(port), own)
        for collector in (*(own if self._siblings is None else [self._siblings]), StandingCollector(workspace)):
            self._registry.register(collector)

    def going(self) -> AbstractContextManager[None]:
        """Tell the processes that share the port what this one has counted, for as long as the block runs."""
        return nullcontext() if self._siblings is None else self._siblings.going()

    def received(self, stream: str, events: int, rejected: int = 0) -> None:
        """Count events at the door."""
        self._events.labels(stream).inc(events)
        self._rejected.labels(stream).inc(rejected)

    def predicted(self, model: str, rows: int) -> None:
        """Count predictions."""
        self._rows.add(model, by=rows)

    def predicting(self, model: str) -> AbstractContextManager[object]:
        """Time one predict request."""
        return self._predict.timing(model)

    def answering(self) -> AbstractContextManager[object]:
        """Count a request while it is being answered."""
        return self._going

    def answered(self, route: str, status: int) -> None:
        """Count a request; a route is one of the few that there are."""
        self._requests.add(route, str(status))

    def began(self, route: str, status: int, took_s: float) -> None:
        """Count a request whose answer goes on for long, and the time until it began."""
        self.answered(route, status)
        self._request.took(route, took_s)

    def stages(self, name: str, facts: Facts) -> AbstractContextManager[object]:
        """Times stages, that of a whole request by its route; see `tidemill.stages.listening`."""
        return self._request.timing(str(facts["route"])) if name == "http" else self._stage.timing(name)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)
