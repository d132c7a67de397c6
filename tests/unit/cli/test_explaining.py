"""An alert that asks for a check has one started, once, whatever becomes of it and of Prefect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest

from tests import tiny
from tidemill.cli.explaining import Explaining
from tidemill.clock import DAY_MS, MINUTE_MS
from tidemill.errors import NotReadyError
from tidemill.project import Workspace
from tidemill.stores import Alert, Decision
from tidemill.stores.alerts import LONGEST_PAUSE_MS, pause_ms
from tidemill.stores.decision_records import Ending

NOW_MS = tiny.START_MS
WEEK_MS = tiny.LATE_ORDER.monitor.check_every_ms


class Prefect:
    """Keeps what it is asked to start; refuses while it is `down`."""

    def __init__(self) -> None:
        self.down = False
        self.asked = 0
        self.started: list[tuple[str, dict[str, str], str]] = []

    def start(self, deployment: str, parameters: dict[str, str], key: str) -> UUID:
        self.asked += 1
        if self.down:
            raise NotReadyError("Prefect does not answer")
        self.started.append((deployment, parameters, key))
        return uuid5(NAMESPACE_URL, key)

    @property
    def alerts(self) -> list[str]:
        return [parameters["alert"] for _, parameters, _ in self.started]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(tiny.project, tmp_path)
    yield opened
    opened.close()


def raise_alert(workspace: Workspace, key: str, at_ms: int = NOW_MS, explain: str = "3") -> None:
    assert workspace.alerts.raise_alert(Alert(key, "late_order", "critical", "it has become worse", "", "", at_ms, explain))


def test_the_retrain_of_an_alarm_has_the_machine_first(workspace: Workspace) -> None:
    prefect, decisions = Prefect(), workspace.decisions
    explaining = Explaining(workspace, prefect.start)
    raise_alert(workspace, "asks")
    decisions.request(Decision("d1", "late_order", "error", "error:1", "worse", NOW_MS, 0))
    assert explaining.step(NOW_MS, 1) == 0
    decisions.claim("d1", "run", 2)
    assert explaining.step(NOW_MS, 10 * MINUTE_MS - 1) == 0
    decisions.finish("d1", Ending("promoted", "better", at_ms=NOW_MS, wall_ms=4), "run")
    assert explaining.step(NOW_MS, 5) == 1


def test_a_retrain_that_nobody_carries_out_holds_nothing_up_for_long(workspace: Workspace) -> None:
    explaining = Explaining(workspace, Prefect().start)
    raise_alert(workspace, "asks")
    workspace.decisions.request(Decision("d1", "late_order", "error", "error:1", "worse", NOW_MS, 0))
    assert [explaining.step(NOW_MS, minute * MINUTE_MS) for minute in (9, 10)] == [0, 1]


def test_one_alert_gives_one_run_and_asking_again_none(workspace: Workspace) -> None:
    prefect = Prefect()
    explaining = Explaining(workspace, prefect.start)
    assert explaining.step(NOW_MS, 0) == 0
    raise_alert(workspace, "asks")
    raise_alert(workspace, "asks nothing", explain="")
    assert [explaining.step(NOW_MS, 1), explaining.step(NOW_MS, 2)] == [1, 0]
    assert Explaining(workspace, prefect.start).step(NOW_MS, 3) == 0, "after a restart"
    parameters = {"model": "late_order", "trigger": "alarm", "alert": "asks"}
    assert prefect.started == [("monitor/tiny", parameters, f"explain:{workspace.home}:asks")]
    assert workspace.alerts.get("asks").link == "", "a check that failed leaves it so, and is not repeated"


def test_killed_before_the_mark_it_asks_again_with_the_same_key(workspace: Workspace) -> None:
    prefect = Prefect()

    def start_and_die(deployment: str, parameters: dict[str, str], key: str) -> UUID:
        prefect.start(deployment, parameters, key)
        raise KeyboardInterrupt

    raise_alert(workspace, "asks")
    with pytest.raises(KeyboardInterrupt):
        Explaining(workspace, start_and_die).step(NOW_MS, 0)
    assert Explaining(workspace, prefect.start).step(NOW_MS, 0) == 1
    first, again = prefect.started
    assert first == again


def test_prefect_down_delays_with_growing_pauses_and_loses_nothing(workspace: Workspace) -> None:
    prefect = Prefect()
    explaining = Explaining(workspace, prefect.start)
    for key in ("a", "b"):
        raise_alert(workspace, key)
    prefect.down, wall_ms = True, 0
    for attempt in range(1, 12):
        assert explaining.step(NOW_MS, wall_ms) == 0
        assert explaining.step(NOW_MS, wall_ms + pause_ms(attempt) - 1) == 0
        assert prefect.asked == attempt, "once a pause, however many wait"
        wall_ms += pause_ms(attempt)
    prefect.down = False
    assert explaining.step(NOW_MS, wall_ms) == 2
    assert prefect.alerts == ["a", "b"]
    assert len(set(explaining.started)) == 2, "whose ends a replay waits for"
    raise_alert(workspace, "c")
    prefect.down = True
    assert explaining.step(NOW_MS, wall_ms) == 0
    prefect.down = False
    assert explaining.step(NOW_MS, wall_ms + pause_ms(1)) == 1, "the pauses begin anew"
    assert pause_ms(11) == LONGEST_PAUSE_MS


def test_what_the_scheduled_check_has_seen_since_is_left_alone(workspace: Workspace) -> None:
    prefect = Prefect()
    for key, at_ms in (("older", NOW_MS - WEEK_MS - 1), ("within", NOW_MS - WEEK_MS), ("now", NOW_MS)):
        raise_alert(workspace, key, at_ms)
    assert Explaining(workspace, prefect.start).step(NOW_MS, 0) == 2
    assert prefect.alerts == ["within", "now"]


def test_a_crowd_is_taken_a_few_at_a_time_oldest_first(workspace: Workspace) -> None:
    prefect = Prefect()
    explaining = Explaining(workspace, prefect.start)
    for number in range(7):
        raise_alert(workspace, f"k{number}", NOW_MS - DAY_MS + number)
    assert [explaining.step(NOW_MS, wall_ms) for wall_ms in range(3)] == [5, 2, 0]
    assert prefect.alerts == [f"k{number}" for number in range(7)]
