"""A quality report as JSON values: what `tidemill quality --json` prints and `GET /v1/models/{model}/quality` answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tidemill.drift.quality_report import QualityReport, VersionFigures
from tidemill.drift.quality_window import QualityWindow
from tidemill.learning.measured import Measured


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
