"""What the monitors of a model hold, as `GET /v1/models/{model}/drift` answers it.

A part stays as the release wrote it that made it, so what this one writes may not be there yet. What a detector keeps for itself, to go
on after a restart, is told with the rest and means nothing to others.
"""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from tidemill.clock import HOUR_MS
from tidemill.drift import ColumnWarning, OutcomeMonitor
from tidemill.drift.baseline import Baseline
from tidemill.drift.heat import Heat
from tidemill.learning import Model, Task
from tidemill.serving.examples import EXAMPLE_MS, EXAMPLE_VERSION

_Inner = dict[str, Any]


class WatchedVersion(TypedDict):
    """The outcomes of a version; `baseline` is null until it is full, the rest are the detectors' own."""

    n_labels: int
    builder: _Inner
    baseline: Baseline | None
    judge: list[_Inner] | None
    sudden: NotRequired[_Inner | None]
    certainty: NotRequired[_Inner]
    unit: NotRequired[float | None]
    said: NotRequired[list[float]]
    early: NotRequired[list[list[float]]]


class OutcomesState(TypedDict):
    """What watches the outcomes: by version, and of those that are worse now the detector of the last alarm and how many labels it had."""

    task: NotRequired[Task]
    versions: dict[str, WatchedVersion]
    alarmed: NotRequired[dict[str, tuple[str, int]]]
    settled_prediction: NotRequired[int]


class ColumnFigures(TypedDict):
    """How near a column is to a warning, and what stands beside it for people: `psi`, and `q` of its last window."""

    column: str
    statistic: float | None
    threshold: float | None
    bet: float | None
    bet_threshold: float | None
    psi: NotRequired[float | None]
    q: NotRequired[float | None]


class Fault(TypedDict):
    """A column that stands still or is missing altogether, and since when, stream time."""

    column: str
    what: str
    since_ms: int


class ColumnShape(TypedDict):
    """The distribution of a column: shares of the reference's rows and of the last window's, by bin."""

    labels: list[str]
    reference: list[float]
    now: list[float]


class HeatState(TypedDict):
    """How near each column came to a warning over time: by column percent of what warns, -1 where nothing was seen, and the warnings."""

    step_ms: int
    from_ms: int
    cells: dict[str, list[int]]
    changes: list[tuple[str, int, int]]


class WindowsState(TypedDict):
    """What watches the columns of the version that serves."""

    version: int
    detector: _Inner
    provisional: NotRequired[bool]
    columns: list[ColumnFigures]
    active: list[ColumnWarning]
    faults: NotRequired[list[Fault]]
    shapes: NotRequired[dict[str, ColumnShape]]
    heat: NotRequired[HeatState]


class DomainState(TypedDict):
    """How well what is asked now can be told from what was learnt from."""

    auc: float
    threshold: float | None
    columns: list[str]
    told_apart: bool


class CheckState(TypedDict):
    """What the last check of all columns by Evidently found, at a stream time."""

    version: int
    at_ms: int
    failed: NotRequired[list[str]]
    failed_twice: NotRequired[list[str]]
    remember: NotRequired[list[str]]
    unjudged: NotRequired[dict[str, str]]
    share: NotRequired[float | None]
    alarm: NotRequired[bool]
    reason: NotRequired[str]
    url: NotRequired[str]
    values: NotRequired[dict[str, float]]
    thresholds: NotRequired[dict[str, float]]
    domain: NotRequired[DomainState | None]


class DriftStates(TypedDict):
    """The state of each monitor of a model; null before its first step."""

    outcomes: OutcomesState | None
    windows: WindowsState | None
    check: CheckState | None


def example_states(model: Model) -> dict[str, Any]:
    """The states of a model of which a label is known, and a window of questions was asked."""
    monitor, heat, version = OutcomeMonitor(task=model.objective.task), Heat(), str(EXAMPLE_VERSION)
    monitor.update(version, 1.0, 0.7, EXAMPLE_MS)
    heat.take(EXAMPLE_MS - HOUR_MS, {name: 0.4 for name in model.columns})
    figures = {"statistic": 12.0, "threshold": 30.0, "bet": 0.5, "bet_threshold": 9.0, "psi": 0.02, "q": 0.6}
    windows = {
        "version": EXAMPLE_VERSION,
        "detector": {},
        "provisional": False,
        "columns": [{"column": name, **figures} for name in model.columns],
        "active": [],
        "faults": [],
        "shapes": {name: {"labels": ["a", "missing"], "reference": [0.9, 0.1], "now": [0.85, 0.15]} for name in model.columns},
        "heat": heat.state(),
    }
    return {"outcomes": {**monitor.state(), "alarmed": {}}, "windows": windows, "check": None}
