"""What the monitors of a model have come to, read from the states they saved; a monitor that has not run yet is simply missing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tidemill.drift import OutcomeMonitor, OutcomeSettings, data_faults, outcome_settings
from tidemill.project import Workspace
from tidemill.ui.heat_map import HeatMap, read_heat

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class ColumnDrift:
    """A feature column, the score or the number of rows, as the detectors last saw it.

    Args:
        column: its name.
        statistic: KS or chi-square of the last complete window; None before the first.
        threshold: what two windows running must stay below.
        bet: the bet that is nearest to its level, in nats.
        bet_threshold: that level.
        psi: population stability index of the last window; shown only.
        q: Benjamini and Hochberg's q-value of the last window, as if its rows were independent; shown only.
        since_ms: when the change is taken to have begun, while it warns.
        detail: what was seen, while it warns.
        warning: whether it warns.
    """

    column: str
    statistic: float | None = None
    threshold: float | None = None
    bet: float | None = None
    bet_threshold: float | None = None
    psi: float | None = None
    q: float | None = None
    since_ms: int | None = None
    detail: str = ""
    warning: bool = False

    @property
    def urgency(self) -> float:
        """How near the column is to a warning: 1 is there."""
        pairs = ((self.statistic, self.threshold), (self.bet, self.bet_threshold))
        return max((value / level for value, level in pairs if value is not None and level), default=0.0)


@dataclass(frozen=True)
class Watch:
    """What the feature detectors hold: columns, data faults, whether the reference is long enough to trust, and how it was over time."""

    columns: tuple[ColumnDrift, ...] = ()
    faults: tuple[str, ...] = ()
    provisional: bool = False
    heat: HeatMap = field(default_factory=HeatMap)


@dataclass(frozen=True)
class CheckSummary:
    """The last Evidently check.

    `failed` failed in it, `failed_twice` in the one before too; `unjudged` says why not, `reason` what it means.
    """

    at_ms: int
    failed: tuple[str, ...] = ()
    failed_twice: tuple[str, ...] = ()
    unjudged: Mapping[str, str] = field(default_factory=dict)
    share: float | None = None
    reason: str = ""
    url: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ErrorStatistic:
    """The CUSUMs of one version's outcomes against their alarm levels; None while its baseline is being gathered."""

    version: str
    n_labels: int
    error: float | None
    error_threshold: float
    residual: float | None
    residual_threshold: float
    certainty: float | None
    certainty_threshold: float


@dataclass(frozen=True)
class DomainSummary:
    """The last try to tell what was served from what was learnt from: its AUC, what ordinary weeks reach, and the columns that told."""

    at_ms: int
    auc: float
    threshold: float | None
    columns: tuple[str, ...] = ()

    @property
    def warning(self) -> bool:
        """Whether they can be told apart better than ordinary weeks can."""
        return self.threshold is not None and self.auc > self.threshold


@dataclass(frozen=True)
class DriftSummary:
    """All that is known of a model's drift, and the budget it is judged by.

    `worse` are the versions whose outcomes alarmed and are not back at their baseline; `unreadable` names states that could not be
    understood.
    """

    watch: Watch = Watch()
    check: CheckSummary | None = None
    errors: tuple[ErrorStatistic, ...] = ()
    worse: tuple[str, ...] = ()
    domain: DomainSummary | None = None
    budget: str = ""
    unreadable: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[ColumnDrift, ...]:
        """The columns that are watched, those that warn first."""
        return self.watch.columns

    def column(self, name: str) -> ColumnDrift | None:
        """The figures of a column; None if it is not watched any more."""
        return next((column for column in self.columns if column.column == name), None)

    @property
    def warnings(self) -> tuple[ColumnDrift, ...]:
        """The columns that warn."""
        return tuple(column for column in self.columns if column.warning)

    @property
    def known(self) -> bool:
        """Whether any monitor has said anything."""
        return bool(self.columns or self.check or self.errors)


def read_drift(workspace: Workspace, model: str) -> DriftSummary:
    """The states saved as `outcomes:MODEL`, `windows:MODEL` and `check:MODEL`.

    A state of another shape (an older release wrote it) is named in `unreadable` and keeps none of the others from being shown.
    """
    unreadable: list[str] = []

    def part(kind: str, read: Callable[[Mapping[str, Any]], T], missing: T) -> T:
        name = f"{kind}:{model}"
        state = workspace.monitors.load(name)[1]
        if not state:
            return missing
        try:
            return read(state)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            logger.warning("monitor state not understood name=%s error=%s", name, error)
            unreadable.append(name)
            return missing

    declared = workspace.project.model(model).monitor
    settings = outcome_settings(declared.budget, declared.cycle_ms)
    return DriftSummary(
        watch=part("windows", _watch, Watch()),
        check=part("check", _check, None),
        errors=part("outcomes", lambda state: _errors(state, settings), ()),
        worse=part("outcomes", lambda state: tuple(state.get("alarmed", {})), ()),
        domain=part("check", _domain, None),
        budget=str(declared.budget),
        unreadable=tuple(unreadable),
    )


def _watch(state: Mapping[str, Any]) -> Watch:
    active = {raw["column"]: raw for raw in state["active"]}
    seen = {raw["column"]: raw for raw in state["columns"]}
    found = []
    for column in dict.fromkeys([*seen, *active]):
        warned = active.get(column)
        told = {} if warned is None else {"since_ms": int(warned["since_ms"]), "detail": str(warned["detail"]), "warning": True}
        found.append(ColumnDrift(**{"column": column, **seen.get(column, {}), **told}))
    ordered = sorted(found, key=lambda each: (not each.warning, -each.urgency, each.column))
    return Watch(tuple(ordered), tuple(data_faults(state)), bool(state.get("provisional")), read_heat(state))


def _check(state: Mapping[str, Any]) -> CheckSummary | None:
    unjudged = state.get("unjudged") or {}
    return CheckSummary(
        at_ms=int(state["at_ms"]),
        failed=tuple(state.get("failed") or ()),
        failed_twice=tuple(state.get("failed_twice") or ()),
        unjudged=dict(unjudged) if isinstance(unjudged, Mapping) else dict.fromkeys(unjudged, ""),
        share=state.get("share"),
        reason=str(state.get("reason") or ""),
        url=state.get("url"),
        values=dict(state.get("values") or {}),
        thresholds=dict(state.get("thresholds") or {}),
    )


def _domain(state: Mapping[str, Any]) -> DomainSummary | None:
    raw = state.get("domain")
    if not raw:
        return None
    return DomainSummary(int(state["at_ms"]), float(raw["auc"]), raw.get("threshold"), tuple(raw.get("columns") or ()))


def _errors(state: Mapping[str, Any], settings: OutcomeSettings) -> tuple[ErrorStatistic, ...]:
    monitor = OutcomeMonitor.from_state(state, settings)
    found = []
    for version in monitor.versions:
        now = monitor.statistics(version)
        found.append(
            ErrorStatistic(
                version=version,
                n_labels=monitor.n_labels(version),
                error=now.get("size" if monitor.task == "regression" else "error"),
                error_threshold=settings.error_threshold,
                residual=now.get("residual"),
                residual_threshold=settings.residual_threshold,
                certainty=now.get("certainty"),
                certainty_threshold=settings.certainty_threshold,
            )
        )
    return tuple(found)
