"""How a project stands, as metrics: read from the stores when Prometheus asks, so that every server says the same of all processes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tidemill.clock import wall_ms
from tidemill.errors import TidemillError
from tidemill.project import Workspace, list_views

logger = logging.getLogger(__name__)

_OUTCOMES = ("received", "applied", "duplicate", "late", "rejected", "pending")
Part = Callable[[Workspace], Iterator[GaugeMetricFamily]]


class StandingCollector(Collector):
    """Books, lag, freshness, drift, decisions, alerts. What cannot be read is left out, and `tidemill_standing_readable` is 0."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All of it, as of now."""
        readable = 1
        for part in _PARTS:
            try:
                yield from part(self._workspace)
            except TidemillError as error:  # a database that is away; what this process counts itself is told all the same
                logger.warning("metrics not read part=%s error=%s", part.__name__, error)
                readable = 0
        told = GaugeMetricFamily("tidemill_standing_readable", "Whether everything below could be read from the stores.")
        told.add_metric([], readable)
        yield told


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"tidemill_{name}", text, labels=labels)


def _books(workspace: Workspace) -> Iterator[GaugeMetricFamily]:
    events = _gauge("events", "The books: events of a stream by outcome; pending ones wait for the engine.", "stream", "outcome")
    for stream, books in workspace.books().items():
        for outcome in _OUTCOMES:
            events.add_metric([stream, outcome], getattr(books, outcome))
    yield events


def _freshness(workspace: Workspace) -> Iterator[GaugeMetricFamily]:
    behind = _gauge("freshness_seconds", "Stream time minus the newest event of a view that was applied.", "view")
    age = _gauge("newest_event_age_seconds", "The wall clock minus the newest event of a view that was applied.", "view")
    whole = _gauge("view_whole", "Whether a view knows its whole past; 0 until it is backfilled.", "view")
    for view in list_views(workspace, wall_ms()):
        if view.freshness_ms is not None and view.wall_age_ms is not None:
            behind.add_metric([view.name], view.freshness_ms / 1_000)
            age.add_metric([view.name], view.wall_age_ms / 1_000)
        whole.add_metric([view.name], view.whole)
    yield from (behind, age, whole)


def _sources(workspace: Workspace) -> Iterator[GaugeMetricFamily]:
    lag = _gauge("source_lag_events", "Events that wait in the source of a stream.", "stream")
    copied = _gauge("source_copied_events", "Events that were copied from the source of a stream.", "stream")
    failing = _gauge("source_failing", "Whether the last try to copy from the source of a stream failed.", "stream")
    for name, standing in workspace.log.sources.standing().items():
        if standing.lag is not None:
            lag.add_metric([name], standing.lag)
        copied.add_metric([name], standing.events)
        failing.add_metric([name], standing.error is not None)
    yield from (lag, copied, failing)


def _drift(workspace: Workspace) -> Iterator[GaugeMetricFamily]:
    score = _gauge("drift_score", "How near a column is to a warning: by its threshold; 1 is there.", "model", "column")
    warns = _gauge("drift_warning", "Whether a column of a model warns.", "model", "column")
    for model in workspace.project.models:
        state: dict[str, Any] = workspace.monitors.load(f"windows:{model.name}")[1] or {}
        warned = {one["column"] for one in state.get("active", ())}
        for one in state.get("columns", ()):
            pairs = ((one.get("statistic"), one.get("threshold")), (one.get("bet"), one.get("bet_threshold")))
            scores = [value / level for value, level in pairs if value is not None and level]
            if scores:
                score.add_metric([model.name, one["column"]], max(scores))
            warns.add_metric([model.name, one["column"]], one["column"] in warned)
    yield from (score, warns)


def _loop(workspace: Workspace) -> Iterator[GaugeMetricFamily]:
    decisions = _gauge("decisions", "Decisions about a model by act and outcome, or state while they have none.", "model", "act", "outcome")
    for (model, act, outcome), count in workspace.decisions.counts().items():
        decisions.add_metric([model, act, outcome], count)
    alerts = _gauge("alerts_going_on", "Alerts whose condition still holds.", "model", "severity")
    for (model, severity), count in workspace.alerts.going_on().items():
        alerts.add_metric([model, severity], count)
    frozen = _gauge("model_frozen", "Whether a person has frozen a model.", "model")
    served = _gauge("logged_predictions", "Predictions in the store.", "model")
    for one in workspace.project.models:
        frozen.add_metric([one.name], workspace.decisions.frozen(one.name) is not None)
        served.add_metric([one.name], workspace.predictions.count(one.name))
    waiting = _gauge("publications_waiting", "Records kept for a publication that are not sent.", "kind")
    for kind, standing in workspace.publications.standing().items():
        waiting.add_metric([kind], standing.kept)
    yield from (decisions, alerts, frozen, served, waiting)


_PARTS: tuple[Part, ...] = (_books, _freshness, _sources, _drift, _loop)
