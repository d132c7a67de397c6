"""What the monitors of a model have come to, read from the states they saved; a monitor that has not run yet is simply missing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tidemill.drift import OutcomeMonitor, OutcomeSettings
from tidemill.project import Workspace

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class ColumnDrift:
    """A feature column in the last complete window; `since_ms` and `warning` once it was high twice running."""

    column: str
    statistic: float
    threshold: float | None
    since_ms: int | None = None
    warning: bool = False


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


@dataclass(frozen=True)
class DriftSummary:
    """All that is known of a model's drift; `unreadable` names states that could not be understood."""

    columns: tuple[ColumnDrift, ...] = ()
    check: CheckSummary | None = None
    errors: tuple[ErrorStatistic, ...] = ()
    unreadable: tuple[str, ...] = ()

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

    def part(kind: str, key: str, read: Callable[[Mapping[str, Any]], T], missing: T) -> T:
        name = f"{kind}:{model}"
        state = workspace.monitors.load(name)[1]
        if not state:
            return missing
        try:
            return read(_holding(state, key))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            logger.warning("monitor state not understood name=%s error=%s", name, error)
            unreadable.append(name)
            return missing

    return DriftSummary(
        columns=part("windows", "last", _columns, ()),
        check=part("check", "at_ms", _check, None),
        errors=part("outcomes", "versions", _errors, ()),
        unreadable=tuple(unreadable),
    )


def _holding(state: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The part of a state that has `key`: the state itself, or what one of its values holds (a monitor kept beside its cursor)."""
    if key in state:
        return state
    for value in state.values():
        if isinstance(value, Mapping) and key in value:
            return {**state, **value}
    raise KeyError(key)


def _columns(state: Mapping[str, Any]) -> tuple[ColumnDrift, ...]:
    thresholds = state.get("thresholds", {})
    active = {raw["column"]: raw for raw in state.get("active", ())}
    found = []
    for column, statistic in state["last"].items():
        raw = active.get(column)
        threshold = thresholds.get(column) if raw is None else raw["threshold"]
        since_ms = None if raw is None else int(raw["since_ms"])
        found.append(ColumnDrift(column, float(statistic), threshold, since_ms, raw is not None))
    return tuple(sorted(found, key=_urgency))


def _urgency(column: ColumnDrift) -> tuple[bool, float, str]:
    return not column.warning, -column.statistic / (column.threshold or float("inf")), column.column


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


def _errors(state: Mapping[str, Any]) -> tuple[ErrorStatistic, ...]:
    settings = OutcomeSettings()
    monitor = OutcomeMonitor.from_state(state, settings)
    found = []
    for version in monitor.versions:
        now = monitor.statistics(version)
        levels = settings.error_threshold, settings.residual_threshold
        errors = now.get("size" if monitor.task == "regression" else "error")
        found.append(ErrorStatistic(version, monitor.n_labels(version), errors, levels[0], now.get("residual"), levels[1]))
    return tuple(found)
