"""Everything the page shows, as plain data read from the stores at one look."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from tidemill.clock import MINUTE_MS, SECOND_MS, NowMs, wall_ms
from tidemill.drift import QualityMemory, QualityReport, report_quality
from tidemill.learning import Model
from tidemill.learning.figures import Figure
from tidemill.pages import Pages
from tidemill.project import ViewDetail, Workspace, describe_views, example_curl, example_python
from tidemill.settings import Settings
from tidemill.stores import Alert, Silence
from tidemill.streams import Books
from tidemill.ui.alert_groups import AlertGroup, AlertRow, read_alerts
from tidemill.ui.decision_rows import DecisionRow, decision_rows
from tidemill.ui.drift_summary import DriftSummary, read_drift
from tidemill.ui.links import model_link, stored_link
from tidemill.ui.quality_cache import QualityCache, WeeklyQuality
from tidemill.ui.rates import Rate, Rates
from tidemill.ui.versions import TrialMemory, Versions, aliases_of, version_rows, version_spans

N_DECISIONS = 50
SERVER_SILENT_MS = MINUTE_MS  # a server not heard of for longer is not counted as serving
_SAME_LOOK_MS = SECOND_MS
_N_ALERTS = 400  # the newest, among which those on outcomes are looked for


@dataclass(frozen=True)
class StreamRow:
    """One stream. `balanced` holds the books against the log's own count; `freshness_ms` is stream time minus the last event's."""

    name: str
    books: Books
    balanced: bool
    rate: Rate
    last_event_ms: int | None
    freshness_ms: int | None


@dataclass(frozen=True)
class Champion:
    """What answers. `since_ms` is stream time, None while nothing tells; `servers` counts those heard of, by version."""

    version: str
    since_ms: int | None
    servers: Mapping[str, int]


@dataclass(frozen=True)
class ModelPanel:
    """One model: what serves, how good it is beside the frozen first one, before and after its labels, what monitors say, how to ask it."""

    name: str
    registered_name: str
    registry_url: str
    champion: Champion | None
    frozen_version: str | None
    quality: WeeklyQuality
    figures: tuple[Figure, ...]
    report: QualityReport
    n_predictions: int
    drift: DriftSummary
    report_url: str | None
    freeze: str | None
    curl: str
    python: str
    alarms: tuple[tuple[int, str], ...] = ()
    versions: Versions = field(default_factory=Versions)


@dataclass(frozen=True)
class Links:
    """The other pages."""

    mlflow: str
    experiments: str
    prefect: str


@dataclass(frozen=True)
class Overview:
    """The whole page. `now_ms` is stream time, 0 before the first event."""

    project: str
    now_ms: int
    streams: tuple[StreamRow, ...]
    views: tuple[ViewDetail, ...]
    models: tuple[ModelPanel, ...]
    decisions: tuple[DecisionRow, ...]
    alert_groups: tuple[AlertGroup, ...]
    links: Links
    silences: tuple[Silence, ...] = ()

    @property
    def alerts(self) -> tuple[AlertRow, ...]:
        """Every alert on the page, group by group."""
        return tuple(row for group in self.alert_groups for row in group.rows)


@dataclass
class Memory:
    """What one process remembers between two looks: rates, the quality of closed weeks and windows, how trials compare."""

    quality: QualityCache = field(default_factory=QualityCache)
    windows: QualityMemory = field(default_factory=QualityMemory)
    rates: Rates = field(default_factory=Rates)
    trials: TrialMemory = field(default_factory=TrialMemory)


class OverviewReader:
    """Reads the overview for any number of pages: one look a second at most, shared by all.

    Args:
        workspace: the stores.
        settings: where MLflow and Prefect are.
        now_wall_ms: the wall clock.
    """

    def __init__(self, workspace: Workspace, settings: Settings, now_wall_ms: NowMs = wall_ms) -> None:
        self._workspace, self._settings, self._now_wall_ms = workspace, settings, now_wall_ms
        self._memory = Memory()
        self._lock = threading.Lock()
        self._last: tuple[int, int, Overview] | None = None  # of which change, when, what
        self._changes = 0

    def read(self) -> Overview:
        """The overview, at most a second old."""
        with self._lock:
            now_wall_ms, change = self._now_wall_ms(), self._changes
            if self._last is None or self._last[0] != change or not 0 <= now_wall_ms - self._last[1] < _SAME_LOOK_MS:
                self._last = change, now_wall_ms, read_overview(self._workspace, self._settings, now_wall_ms, self._memory)
            return self._last[2]

    def forget(self) -> None:
        """Look anew at the next read: somebody has just changed what is shown. It waits for no look, so an event loop may call it."""
        self._changes += 1


def read_overview(workspace: Workspace, settings: Settings, now_wall_ms: int, memory: Memory | None = None) -> Overview:
    """Look at every store once. Without a `memory` there are no rates, and every week is judged anew."""
    memory = memory or Memory(QualityCache(budget_s=float("inf")), QualityMemory(budget_s=float("inf")))
    now_ms = workspace.now_ms()
    decisions = workspace.decisions.recent(limit=N_DECISIONS)
    alarms = tuple(record.alert for record in workspace.alerts.recent(limit=_N_ALERTS) if record.alert.kind == "outcomes")
    seen, pages = _Seen(memory, now_ms, now_wall_ms, alarms), Pages.of(settings)
    return Overview(
        project=workspace.project.name,
        now_ms=now_ms,
        streams=_streams(workspace, now_ms, now_wall_ms, memory.rates),
        views=tuple(describe_views(workspace, now_wall_ms)),
        models=tuple(_model(workspace, settings, model, seen) for model in workspace.project.models),
        decisions=decision_rows(decisions, pages),
        alert_groups=read_alerts(workspace, pages),
        links=_links(pages),
        silences=workspace.alert_silences.standing(now_wall_ms),
    )


def _links(pages: Pages) -> Links:
    return Links(f"{pages.mlflow}/", f"{pages.mlflow}/#/experiments", f"{pages.prefect}/")


def _streams(workspace: Workspace, now_ms: int, now_wall_ms: int, rates: Rates) -> tuple[StreamRow, ...]:
    books, last_ms = workspace.books(), workspace.state.last_event_ms()
    rate = rates.update(now_wall_ms, now_ms, {name: book.received for name, book in books.items()})
    return tuple(
        StreamRow(
            name=name,
            books=books[name],
            balanced=books[name].balanced,
            rate=rate[name],
            last_event_ms=last_ms[name] or None,
            freshness_ms=max(0, now_ms - last_ms[name]) if last_ms[name] else None,
        )
        for name in workspace.project.stream_names
    )


@dataclass(frozen=True)
class _Seen:
    """One look: with which memory, and when; the alarms on outcomes that the alerts tell of."""

    memory: Memory
    now_ms: int
    now_wall_ms: int
    alarms: tuple[Alert, ...]


def _model(workspace: Workspace, settings: Settings, model: Model, seen: _Seen) -> ModelPanel:
    quality = seen.memory.quality.read(workspace, model, seen.now_ms)
    report = report_quality(seen.memory.windows.read(workspace, model, seen.now_ms))
    drift = read_drift(workspace, model.name)
    freeze = workspace.decisions.frozen(model.name)
    registered = workspace.project.registered_name(model.name)
    heard = workspace.predictions.servers(model.name, seen.now_wall_ms - SERVER_SILENT_MS)
    return ModelPanel(
        name=model.name,
        registered_name=registered,
        registry_url=model_link(Pages.of(settings), registered),
        champion=_champion(workspace, model.name, quality, heard),
        frozen_version=_frozen_version(workspace, model.name),
        quality=quality,
        figures=model.objective.figures,
        report=report,
        n_predictions=workspace.predictions.count(model.name),
        drift=drift,
        report_url=stored_link(Pages.of(settings), drift.check.url) if drift.check else None,
        freeze=f"by {freeze.by}: {freeze.reason}" if freeze else None,
        curl=example_curl(model, settings.public_url),
        python=example_python(model, settings.public_url),
        alarms=tuple((alert.since_ms or alert.at_ms, alert.title) for alert in seen.alarms if alert.model == model.name),
        versions=_versions(workspace, model, (quality, report), seen),
    )


def _versions(workspace: Workspace, model: Model, told: tuple[WeeklyQuality, QualityReport], seen: _Seen) -> Versions:
    quality, report = told
    named = aliases_of(workspace, model.name)
    return Versions(
        rows=version_rows(named, quality.runs, workspace.decisions.recent(model.name, N_DECISIONS), report.versions),
        spans=version_spans(quality.runs, seen.now_ms),
        trials=seen.memory.trials.read(workspace, model, named, seen.now_wall_ms),
    )


def _champion(workspace: Workspace, model: str, quality: WeeklyQuality, heard: Mapping[str, int]) -> Champion | None:
    """What the servers say counts; if none speaks, the last promotion, then the last labelled prediction."""
    servers: dict[str, int] = {}
    for served in filter(None, heard.values()):  # 0 serves none yet
        servers[str(served)] = servers.get(str(served), 0) + 1
    promoted = workspace.decisions.last_finished(model, ("promoted", "rolled_back"))
    last_run = quality.runs[-1] if quality.runs else None
    told = [promoted.to_version if promoted else None, last_run.version if last_run else None]
    version = max(servers, key=int) if servers else next((each for each in told if each), None)
    if version is None:
        return None
    since = [promoted.finished_at_ms] if promoted and promoted.to_version == version else []
    since += [last_run.at_ms] if last_run and last_run.version == version else []
    return Champion(version, min((at_ms for at_ms in since if at_ms is not None), default=None), servers)


def _frozen_version(workspace: Workspace, model: str) -> str | None:
    """The first model, as the first prediction that asked it says."""
    first = workspace.predictions.served(model, limit=1)
    versions = [score.version for score in workspace.predictions.scores(model, first.keys[:1]) if score.role == "frozen"]
    return str(versions[0]) if versions else None
