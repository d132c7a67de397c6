"""The series of a model's charts: weeks, live beside frozen, and windows, estimated before their labels and measured after."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from tidemill.clock import SECOND_MS
from tidemill.drift import QualityWindow
from tidemill.ui.overview import ModelPanel

Line = list[float | None]


def quality_series(panel: ModelPanel) -> dict[str, Any]:
    """Times in seconds, as the charts take them; null where there is nothing to draw."""
    weeks, windows = panel.quality.weeks, panel.report.windows
    metrics = sorted({name for window in windows for each in (window.live, window.frozen, window.estimated) for name in each.figures})
    return {
        "weeks": [week.start_ms // SECOND_MS for week in weeks],
        "live": _of_weeks(panel, "live"),
        "frozen": _of_weeks(panel, "frozen"),
        "marks": [{"at": run.at_ms / SECOND_MS, "version": run.version} for run in panel.quality.runs],
        "windows": {
            "at": [window.start_ms // SECOND_MS for window in windows],
            "step": panel.report.window_ms // SECOND_MS,
            "live": {name: _of_windows(windows, "live", name, "value") for name in metrics},
            "frozen": {name: _of_windows(windows, "frozen", name, "value") for name in metrics},
            "estimated": {name: _of_windows(windows, "estimated", name, "value") for name in metrics},
            "low": {name: _of_windows(windows, "estimated", name, "low") for name in metrics},
            "high": {name: _of_windows(windows, "estimated", name, "high") for name in metrics},
        },
    }


def series_revision(panel: ModelPanel) -> str:
    """Changes whenever the series of a chart does, so that the page fetches it again only then."""
    return sha256(repr(quality_series(panel)).encode()).hexdigest()[:12]


def _of_weeks(panel: ModelPanel, role: str) -> dict[str, Line]:
    found = [getattr(week, role) for week in panel.quality.weeks]
    return {figure.name: [getattr(each, figure.name) for each in found] for figure in panel.figures}


def _of_windows(windows: tuple[QualityWindow, ...], which: str, metric: str, part: str) -> Line:
    figures = [getattr(window, which).figures.get(metric) for window in windows]
    return [None if figure is None else getattr(figure, part) for figure in figures]
