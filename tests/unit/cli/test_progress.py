"""The line of the demo says how good the answers are by now."""

from __future__ import annotations

import io
from contextlib import closing
from itertools import count
from pathlib import Path

from rich.console import Console

from tests import tiny
from tests.unit.cli.test_quality import DAYS, answer_some
from tidemill.cli.progress import Screen
from tidemill.cli.replay import Progress
from tidemill.clock import DAY_MS
from tidemill.project import Workspace


def test_the_figure_follows_the_labels_however_fast_the_replay_is(tmp_path: Path) -> None:
    shown, tenths = io.StringIO(), count(1_000)  # each look at the clock is a tenth of a second after the one before
    with closing(Workspace.open(tiny.project, tmp_path)) as workspace:
        answer_some(workspace)
        screen = Screen(workspace, Console(file=shown, width=400), lambda: next(tenths) / 10)
        progress = Progress(phase="live", stream_ms=tiny.START_MS + DAYS * DAY_MS, predictions=1)
        screen.show(progress)
        tiny.live(workspace, 0, DAYS)
        for _ in range(300):
            screen.show(progress)
    first, *_, last = shown.getvalue().splitlines()
    assert "AUC now -" in first
    assert "AUC now 0." in last
