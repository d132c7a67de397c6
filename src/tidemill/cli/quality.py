"""`tidemill quality`: how good a model is, before its labels and after, by version, by slice and over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from tidemill.cli.options import AsJson, ModelName, ProjectPath, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal
from tidemill.clock import DAY_MS, duration_text, to_utc

if TYPE_CHECKING:
    from tidemill.drift import QualityReport, QualityWindow
    from tidemill.learning import Figures, Interval

_SLICES = 15


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(quality)


def quality(
    model: ModelName,
    windows: Annotated[int, typer.Option(min=1, help="How many windows to list, newest first.")] = 14,
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Show how good a model is: estimated before its labels are there, measured after, by version, by slice and over time.

    The estimate looks at no label: it comes from the model's answers, and for a number from what it read too. It sees inputs that have
    moved to where the model is unsure; it cannot see a world in which the same inputs have come to mean something else. How far it was
    off so far is said beside it; docs/quality.md tells more.
    """
    from tidemill.drift import QualityMemory, report_quality
    from tidemill.drift.quality_json import quality_json

    workspace = workspace_for(settings_for(project), remember=False)
    wanted = workspace.project.model(model)
    report = report_quality(QualityMemory(budget_s=float("inf")).read(workspace, wanted, workspace.now_ms()))
    if json_:
        print_json(quality_json(wanted.name, report))
        return
    _print(terminal(), wanted.name, report, windows)


def _print(console: Console, model: str, report: QualityReport, n_windows: int) -> None:
    if not report.windows:
        console.print(f"no prediction of {model} yet; quality appears once it was asked, and more of it with the first labels")
        return
    console.print(_labels(report))
    if report.provisional:
        console.print(_provisional(report))
    console.print(_trust(model, report))
    console.print(_versions(report))
    if report.slices:
        console.print(_slices(report))
    console.print(_windows(report, n_windows))


def _labels(report: QualityReport) -> str:
    labels = report.labels
    told = f"{labels.n_labelled:,} of {labels.n_asked:,} predictions are labelled"
    if labels.n_expected is not None:
        told += f", {labels.n_expected:,} usually are by now"
    if labels.lag_ms:
        told += "; labels take " + ", ".join(f"{_span(ms)} ({name})" for name, ms in labels.lag_ms.items())
    if labels.n_corrected:
        told += f"; {labels.n_corrected:,} were corrected, the last one known counts"
    return told


def _provisional(report: QualityReport) -> str:
    versions = ", ".join(map(str, report.provisional))
    return (
        f"the interval of the estimate is provisional, too short, of version {versions}: fewer than three windows were held back to "
        "judge it, so how much windows differ is not in it; a longer RetrainPolicy(gate=...) tells"
    )


def _trust(model: str, report: QualityReport) -> str:
    if not report.has_estimate:
        return f"no estimate: nothing held here tells what answers of {model} are worth; the next training keeps it"
    if not report.trust:
        return "the estimate has not met enough labels yet to say how far to trust it"
    lines = [
        f"  {name}: off by {one.error:.4f} on average over {one.n_windows} windows (a guess that never changes: {one.plain_error:.4f}); "
        f"the interval held {one.n_held} of {one.n_windows}"
        for name, one in report.trust.items()
    ]
    return "\n".join(["how far to trust the estimate, now that labels are there:", *lines])


def _versions(report: QualityReport) -> Table:
    rows = [*report.versions, *([report.frozen] if report.frozen else [])]
    metrics = sorted({name for row in rows for name in row.figures})
    table = Table("version", Column("from", no_wrap=True), "labelled", *metrics, box=None, title="by version", title_justify="left")
    for row in rows:
        table.add_row(row.version, _day(row.from_ms), f"{row.n:,}", *(_figure(row.figures.get(name)) for name in metrics))
    return table


def _slices(report: QualityReport) -> Table:
    table = Table("slice", "labelled", "accuracy", "loss", "expected", "", box=None, title="by slice, worst first", title_justify="left")
    for one in report.slices[:_SLICES]:
        said = "worse than expected" if one.worse else "harder than the rest" if one.hard else ""
        expected = "-" if one.expected is None else f"{one.expected:.4f}"
        table.add_row(
            f"{one.column} {one.value}",
            f"{one.n:,}",
            "-" if one.accuracy is None else f"{one.accuracy:.4f}",
            _figure(one.loss),
            expected,
            said,
        )
    return table


def _windows(report: QualityReport, n_windows: int) -> Table:
    shown = list(reversed(report.windows))[:n_windows]
    metrics = sorted({name for window in shown for each in (window.live, window.estimated) for name in each.figures})
    columns = [f"{name}, live and estimated" for name in metrics]  # one below the other: side by side they leave no room for the time
    title = f"by {duration_text(report.window_ms)} of UTC, newest first"
    table = Table(Column("from", no_wrap=True), "asked", "labelled", *columns, box=None, title=title, title_justify="left")
    for window in shown:
        pairs = [f"{_figure(_live(window).get(name))}\n{_figure(window.estimated.figures.get(name))}" for name in metrics]
        table.add_row(_when(window.start_ms, report.window_ms), f"{window.n_asked:,}", f"{window.live.n:,}", *pairs)
    return table


def _live(window: QualityWindow) -> Figures:
    """Their own intervals take rows as independent, so beside the estimate's they would promise too much."""
    from tidemill.learning import Interval

    return {name: Interval(figure.value) for name, figure in window.live.figures.items()}


def _figure(figure: Interval | None) -> str:
    if figure is None:
        return "-"
    return (
        f"{figure.value:.4f}"
        if figure.low is None or figure.high is None
        else f"{figure.value:.4f} ({figure.low:.3f} to {figure.high:.3f})"
    )


def _span(ms: int) -> str:
    return next(
        (f"{ms / unit:.1f} {name}" for unit, name in ((DAY_MS, "d"), (3_600_000, "h"), (60_000, "min")) if ms >= unit),
        f"{ms / 1_000:.1f} s",
    )


def _day(ms: int) -> str:
    return f"{to_utc(ms):%Y-%m-%d}"


def _when(ms: int, window_ms: int) -> str:
    return _day(ms) if window_ms >= DAY_MS else f"{to_utc(ms):%Y-%m-%d %H:%M}"
