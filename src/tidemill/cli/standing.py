"""How a project stands, in one look: services, streams, models and what the loop did last; once, or as a view that goes on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from tidemill.cli.ending import end_at_signals
from tidemill.cli.moments import moment
from tidemill.cli.rows import Rows
from tidemill.clock import wall_ms
from tidemill.project import Workspace
from tidemill.settings import Settings
from tidemill.stores import Decision, PublicationStanding
from tidemill.streams import Books

_SEEN_MS = 60_000  # a server that has not said what it serves for so long is gone
_LAST = "last event"  # which may take two lines
_COLUMNS = ("received", "applied", "duplicate", "late", "rejected", "pending")


@dataclass(frozen=True)
class ModelStanding:
    """A model: the versions that servers hold as champion, its predictions, and its alerts that go on."""

    name: str
    serving: tuple[int, ...]
    predictions: int
    alerts: int


@dataclass(frozen=True)
class Standing:
    """What is known at one moment.

    Args:
        project: its name.
        at_wall_ms: when it was read.
        stream_time_ms: the newest event's time.
        services: whether each answers.
        books: by stream.
        last_event_ms: by stream.
        models: in the project's order.
        decisions: the newest first.
        partial_views: views and tables that know only events since they were declared or changed, and which of the two each is.
        publications: by what is published.
    """

    project: str
    at_wall_ms: int
    stream_time_ms: int
    services: Mapping[str, bool]
    books: Mapping[str, Books]
    last_event_ms: Mapping[str, int]
    models: tuple[ModelStanding, ...]
    decisions: tuple[Decision, ...]
    partial_views: Mapping[str, str]
    publications: Mapping[str, PublicationStanding]


def read_standing(workspace: Workspace, settings: Settings) -> Standing:
    """Read it now; a service that does not answer is down."""
    from tidemill.cli.services import is_well, services

    now, going_on = wall_ms(), workspace.alerts.going_on()
    models = (
        ModelStanding(
            name=model.name,
            serving=tuple(sorted({version for version in workspace.predictions.servers(model.name, now - _SEEN_MS).values() if version})),
            predictions=workspace.predictions.count(model.name),
            alerts=sum(count for (name, _), count in going_on.items() if name == model.name),
        )
        for model in workspace.project.models
    )
    return Standing(
        project=workspace.project.name,
        at_wall_ms=now,
        stream_time_ms=workspace.now_ms(),
        services={service.name: is_well(service.health_url) for service in services(settings, work=False) if service.health_url},
        books=workspace.books(),
        last_event_ms=workspace.state.last_event_ms(),
        models=tuple(models),
        decisions=tuple(workspace.decisions.recent(limit=5)),
        partial_views={name: workspace.project.source(name).kind for name in workspace.state.sets.partial()},
        publications=workspace.publications.standing(),
    )


def render(now: Standing, before: Standing | None = None) -> RenderableType:
    """For a person; with an earlier look beside it how many events and predictions came a second."""
    services = [Text(f"{name} ").append(*(("up",) if up else ("down", "red"))) for name, up in now.services.items()]
    parts: list[RenderableType] = [
        Text(f"project {now.project}, stream time {moment(now.stream_time_ms)}"),
        Text("  ").join(services),
        _streams(now, before),
    ]
    if now.models:
        parts.append(_models(now, before))
    for name, kind in now.partial_views.items():
        lacking = Text(f"{kind} {name} knows only events since it was declared or changed", style="yellow")
        parts.append(Text.assemble(lacking, f"; `tidemill backfill {name}` fills it"))
    for kind, published in now.publications.items():
        if published.last_error:
            parts.append(Text.assemble((f"{kind} are not published", "yellow"), "; see `tidemill publications`"))
    for decision in now.decisions:
        ended = f"{decision.outcome or decision.state} {decision.outcome_reason}"
        parts.append(Text(f"{moment(decision.requested_at_ms)} {decision.model} {decision.trigger}: {ended}"))
    return Group(*parts)


def follow(workspace: Workspace, settings: Settings, console: Console, every_s: float) -> None:
    """Show it anew every few seconds until Ctrl-C."""
    stopping = threading.Event()
    end_at_signals(stopping)
    now, before = read_standing(workspace, settings), None
    with Live(render(now), console=console, screen=True, auto_refresh=False) as live:
        while not stopping.is_set():
            live.update(render(now, before), refresh=True)
            stopping.wait(every_s)
            now, before = read_standing(workspace, settings), now


def _streams(now: Standing, before: Standing | None) -> Rows:
    rows = []
    for name, books in sorted(now.books.items()):
        counts = [f"{getattr(books, column):,}" for column in _COLUMNS]
        if before is not None:
            counts.append(_rate(books.applied - before.books[name].applied, now, before))
        rows.append((name, *counts, moment(now.last_event_ms.get(name, 0))))
    return Rows(("stream", *_COLUMNS, *_rates(before), _LAST), rows, folded=_LAST)


def _models(now: Standing, before: Standing | None) -> Rows:
    rows: list[tuple[str | Text, ...]] = []
    for place, model in enumerate(now.models):
        counts = [f"{model.predictions:,}"]
        if before is not None:
            counts.append(_rate(model.predictions - before.models[place].predictions, now, before))
        alerts = Text(str(model.alerts), style="red" if model.alerts else "")
        rows.append((model.name, " and ".join(map(str, model.serving)) or "none is served", *counts, alerts))
    return Rows(("model", "champion", "predictions", *_rates(before), "alerts"), rows)


def _rates(before: Standing | None) -> tuple[str, ...]:
    return () if before is None else ("a second",)


def _rate(more: int, now: Standing, before: Standing) -> str:
    return f"{more * 1_000 / max(now.at_wall_ms - before.at_wall_ms, 1):,.1f}"
