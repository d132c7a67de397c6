"""The demo's progress on a terminal: a line of figures that refreshes, or now and then a plain line where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from tidemill.cli.replay import Progress
from tidemill.clock import DAY_MS, to_utc
from tidemill.learning.classification import Binary
from tidemill.learning.outcomes import read_settled
from tidemill.project import Workspace

_QUALITY_SHARE = 0.02  # of the time, at most, for reading how good the answers were
_PLAIN_EVERY_S = 15.0
_QUALITY_MS = 28 * DAY_MS


class Screen:
    """Shows a replay's progress while its block runs.

    Args:
        workspace: that is replayed.
        console: to show it on.
        now_s: a clock in seconds, from any beginning.
    """

    def __init__(self, workspace: Workspace, console: Console, now_s: Callable[[], float] = time.monotonic) -> None:
        self._workspace = workspace
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._now_s = now_s
        self._begin_s = now_s()
        self._quality_from_s = self._begin_s
        self._plain_s = 0.0
        self._seen = (0.0, 0)
        objectives = [model.objective for model in workspace.project.models[:1]] or [Binary()]
        self._figure = next(figure for figure in objectives[0].figures if figure.more_is_better)
        self._quality: dict[str, str] = {"champion": "-", "frozen": "-"}
        self._versions = "-"

    def __enter__(self) -> Screen:
        """Begin."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End."""
        if self._live is not None:
            self._live.stop()

    def phase(self, progress: Progress, name: str) -> None:
        """Name a phase and show it."""
        progress.phase = name
        self.show(progress)

    def show(self, progress: Progress) -> None:
        """Show the figures as they stand."""
        now_s = self._now_s()
        if now_s >= self._quality_from_s and progress.predictions:
            self._read_quality(progress.stream_ms)
            read_s = self._now_s()
            self._quality_from_s = read_s + (read_s - now_s) / _QUALITY_SHARE
        if self._live is not None:
            self._live.update(self._table(progress))
        elif now_s - self._plain_s > _PLAIN_EVERY_S:
            self._plain_s = now_s
            self._console.print(
                "  ".join(f"{name} {value}" for name, value in self._figures(progress).items()), highlight=False, soft_wrap=True
            )

    def _figures(self, progress: Progress) -> dict[str, str]:
        now_s = self._now_s()
        then_s, then_events = self._seen
        if now_s - then_s > 2:
            progress.events_per_s = (progress.events - then_events) / (now_s - then_s) if then_s else 0.0
            self._seen = (now_s, progress.events)
        fresh = f"{np.percentile(progress.freshness_ms[-5_000:], 99):.1f} ms" if progress.freshness_ms else "-"
        return {
            "phase": progress.phase,
            "date": str(to_utc(progress.stream_ms).date()),
            "events": f"{progress.events:,}",
            "events/s": f"{progress.events_per_s:,.0f}",
            "fresh p99": fresh,
            "predictions": f"{progress.predictions:,}",
            f"{self._figure.title} now": self._quality["champion"],
            f"{self._figure.title} frozen": self._quality["frozen"],
            "alarms": str(progress.alarms),
            "version": self._versions,
            "wall": f"{now_s - self._begin_s:.0f} s",
        }

    def _table(self, progress: Progress) -> Table:
        figures = self._figures(progress)
        table = Table(box=None, pad_edge=False)
        for name in figures:
            table.add_column(name, style="bold" if name == "phase" else "")
        table.add_row(*figures.values())
        return table

    def _read_quality(self, now_ms: int) -> None:
        for model in self._workspace.project.models[:1]:
            judged = read_settled(self._workspace.quality, model, (now_ms - _QUALITY_MS, now_ms), now_ms)
            for role in self._quality:
                mine = judged.of_role(role)
                value = getattr(model.objective.quality(mine.outcome, mine.said), self._figure.name)
                self._quality[role] = "-" if value is None else f"{value:.3f}"
                if role == "champion" and len(mine.version):
                    self._versions = str(mine.version[-1])
