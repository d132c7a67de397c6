"""A live model is checked once each span of stream time, whatever becomes of Prefect and of this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tidemill.cli.checking import Checking
from tidemill.errors import NotReadyError
from tidemill.project import Workspace
from tidemill.stores import Answered
from tidemill.stores.alerts import pause_ms

NOW_MS = tiny.START_MS
WEEK_MS = tiny.LATE_ORDER.monitor.check_every_ms


class Prefect:
    """Keeps the keys of what it is asked to start; refuses while it is `down`."""

    def __init__(self) -> None:
        self.down = False
        self.asked = 0
        self.keys: list[str] = []

    def start(self, deployment: str, parameters: dict[str, str], key: str) -> None:
        self.asked += 1
        if self.down:
            raise NotReadyError("Prefect does not answer")
        assert (deployment, parameters) == ("monitor/tiny", {"model": "late_order"})
        self.keys.append(key)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(tiny.project, tmp_path)
    yield opened
    opened.close()


def serve(workspace: Workspace, at_ms: int) -> None:
    said = {"champion": (1, np.array([0.5]))}
    workspace.predictions.write(Answered("late_order", at_ms, at_ms, "{}", "d", ["o1"], ["{}"], np.zeros((1, 3)), said))  # type: ignore[arg-type]  # a literal key


def test_a_model_that_has_served_nothing_is_not_checked(workspace: Workspace) -> None:
    prefect = Prefect()
    assert Checking(workspace, prefect.start).step(NOW_MS + 10 * WEEK_MS, 0) == 0
    assert prefect.asked == 0


def test_each_span_since_the_first_prediction_gives_one_run(workspace: Workspace) -> None:
    prefect = Prefect()
    checking = Checking(workspace, prefect.start)
    serve(workspace, NOW_MS)
    serve(workspace, NOW_MS + WEEK_MS)
    started = [checking.step(NOW_MS + passed, 0) for passed in (WEEK_MS - 1, WEEK_MS, WEEK_MS + 1, 2 * WEEK_MS, 5 * WEEK_MS)]
    assert started == [0, 1, 0, 1, 1]
    assert [key.rpartition(":")[2] for key in prefect.keys] == ["1", "2", "5"]


def test_a_restart_asks_with_the_key_of_the_span_again(workspace: Workspace) -> None:
    prefect = Prefect()
    serve(workspace, NOW_MS)
    for _ in range(2):
        Checking(workspace, prefect.start).step(NOW_MS + WEEK_MS, 0)
    assert len(prefect.keys) == 2
    assert len(set(prefect.keys)) == 1, "Prefect makes one run of one key"


def test_a_check_of_an_earlier_process_counts(workspace: Workspace) -> None:
    prefect = Prefect()
    serve(workspace, NOW_MS)
    workspace.monitors.save("check:late_order", 0, 1, {"at_ms": NOW_MS + 3 * WEEK_MS + 1})
    checking = Checking(workspace, prefect.start)
    assert [checking.step(NOW_MS + weeks * WEEK_MS, 0) for weeks in (3, 4)] == [0, 1]


def test_it_asks_again_after_a_pause_while_prefect_is_down(workspace: Workspace) -> None:
    prefect = Prefect()
    checking = Checking(workspace, prefect.start)
    serve(workspace, NOW_MS)
    prefect.down = True
    for wall_ms in (0, 1, pause_ms(1) - 1):
        assert checking.step(NOW_MS + WEEK_MS, wall_ms) == 0
    assert prefect.asked == 1
    prefect.down = False
    assert checking.step(NOW_MS + WEEK_MS, pause_ms(1)) == 1
