"""A quality report as JSON values: what `tidemill quality --json` prints and `GET /v1/models/{model}/quality` answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from typing_extensions import TypedDict

from tidemill.drift.quality_report import Labels, QualityReport, Trust, VersionFigures
from tidemill.drift.quality_window import QualityWindow
from tidemill.learning.intervals import Interval
from tidemill.learning.measured import Measured
from tidemill.learning.slices import SliceQuality


class MeasuredJson(TypedDict, extra_items=Interval):  # type: ignore[call-arg]  # PEP 728, which mypy does not know yet
    """Metrics by name, over `n` rows."""

    n: int


class VersionJson(TypedDict):
    """One version, or the first model, over all its windows."""

    version: str
    from_ms: int
    to_ms: int
    labelled: int
    figures: dict[str, Interval]


class WindowVersionJson(TypedDict):
    """One version in one window: what its labels say, and what was to be expected of all its answers."""

    version: int
    live: MeasuredJson
    estimated: MeasuredJson


class WindowJson(TypedDict):
    """The questions of one window, and how good the answers were; see `QualityWindow`."""

    start_ms: int
    closed: bool
    asked: int
    labelled: int
    expected_share: float | None
    corrected: int
    live: MeasuredJson
    frozen: MeasuredJson
    estimated: MeasuredJson
    versions: list[WindowVersionJson]


class QualityJson(TypedDict):
    """What is known of a model's quality; see `quality_json`."""

    model: str
    stream_time_ms: int
    window_ms: int
    complete: bool
    labels: Labels
    provisional_versions: list[int]
    trust: dict[str, Trust]
    versions: list[VersionJson]
    frozen: VersionJson | None
    slices: list[SliceQuality]
    windows: list[WindowJson]


def quality_json(model: str, report: QualityReport) -> dict[str, Any]:
    """Plain values; times are ms since the epoch, a figure is `{"value", "low", "high"}`, its ends null where nothing tells them."""
    return {
        "model": model,
        "stream_time_ms": report.now_ms,
        "window_ms": report.window_ms,
        "complete": report.complete,
        "labels": asdict(report.labels),
        "provisional_versions": list(report.provisional),
        "trust": {name: asdict(one) for name, one in report.trust.items()},
        "versions": [_version(one) for one in report.versions],
        "frozen": None if report.frozen is None else _version(report.frozen),
        "slices": [asdict(one) for one in report.slices],
        "windows": [_window(one) for one in report.windows],
    }


def _version(version: VersionFigures) -> dict[str, Any]:
    return {
        "version": version.version,
        "from_ms": version.from_ms,
        "to_ms": version.to_ms,
        "labelled": version.n,
        "figures": {name: asdict(figure) for name, figure in version.figures.items()},
    }


def _window(window: QualityWindow) -> dict[str, Any]:
    return {
        "start_ms": window.start_ms,
        "closed": window.closed,
        "asked": window.n_asked,
        "labelled": window.live.n,
        "expected_share": window.expected_share,
        "corrected": window.n_corrected,
        "live": _measured(window.live),
        "frozen": _measured(window.frozen),
        "estimated": _measured(window.estimated),
        "versions": [
            {"version": one.version, "live": _measured(one.live), "estimated": _measured(one.estimated)} for one in window.versions
        ],
    }


def _measured(measured: Measured) -> dict[str, Any]:
    return {"n": measured.n, **{name: asdict(figure) for name, figure in measured.figures.items()}}
