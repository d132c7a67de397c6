"""A label of which only one kind is told: of orders only the late ones are reported, and who hears nothing within six hours was in time.

The loop hears of all of them, once nothing more can be told: detectors, guard, counts of labels, probation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import orjson
import pytest
from fastapi.testclient import TestClient

from tests import tiny
from tidemill import Monitor
from tidemill.clock import DAY_MS, HOUR_MS, wall_ms
from tidemill.drift import Alarm, OutcomeMonitor, OutcomeSettings, dated_again, outcome_settings
from tidemill.learning import Model
from tidemill.project import Project, Workspace
from tidemill.registry import CHAMPION, Registry
from tidemill.registry.deciding import data_fault
from tidemill.registry.known_outcomes import count_known, known_after, newest_known
from tidemill.registry.probation import labelled
from tidemill.serving import Champions, create_app
from tidemill.serving.monitors import OutcomeWatch
from tidemill.settings import ServerSettings, Settings
from tidemill.streams import Entry

FIRST, CHANGED, END = 3, 5, 9  # days: the first that is served, the first of the changed world, and the one after the last
MODEL = replace(tiny.LATE_ORDER, label=replace(tiny.LATE_ORDER.label, absent=0.0), monitor=Monitor(cycle="1d"))
WITHIN_MS = MODEL.label.within_ms


@dataclass
class Run:
    """What the days came to."""

    workspace: Workspace
    registry: Registry
    heard: int
    alarms: list[Alarm]
    asked: dict[str, int]
    told_ms: dict[str, int]


def watch_settings() -> OutcomeSettings:
    """As the watch has them."""
    return outcome_settings(MODEL.monitor.budget, MODEL.monitor.cycle_ms)


def told(day: int) -> list[Entry]:
    """A day of orders, of which the late ones are reported; the other shops are slow from `CHANGED` on."""
    happened = tiny.history(day, day + 1, slow="cde" if day > CHANGED else "ab")
    return [entry for entry in happened if entry.stream == "orders" or json.loads(entry.payload)["delay_min"] >= 15]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[Run]:
    home = tmp_path_factory.mktemp("silence")
    project = Project("silence", streams=[tiny.ORDERS, tiny.DELIVERIES], views=[tiny.BY_SHOP], models=[MODEL])
    workspace, registry = Workspace.open(project, home), Registry(mlflow_uri, home)
    made = Run(workspace, registry, 0, [], {}, {})
    client: TestClient | None = None
    champions = Champions(workspace, registry, "test")
    watch = OutcomeWatch(workspace, registry, MODEL)
    for day in range(END):
        happened = told(day)
        if day >= FIRST:
            if client is None:
                registry.promote("silence.late_order", tiny.train_version(workspace, registry))
                champions.refresh(wall_ms())
                settings = Settings(server=ServerSettings(open=True, replay=True))
                client = TestClient(create_app(workspace, settings, champions), base_url="http://127.0.0.1:8000")
            ask(client, happened, made.asked)
        workspace.log.append(happened, 0)
        workspace.engine().drain(10_000)
        workspace.lake_writer().flush()
        made.told_ms |= {
            json.loads(entry.payload)["order_id"]: entry.known_at_ms or 0 for entry in happened if entry.stream == "deliveries"
        }
        made.alarms += watch.step()
        made.alarms += watch.step()  # nothing is new
    _, state = workspace.monitors.load("outcomes:late_order")
    assert state is not None
    made.heard = OutcomeMonitor.from_state(state, watch_settings()).n_labels("1")
    yield made
    workspace.close()


def ask(client: TestClient, happened: list[Entry], asked: dict[str, int]) -> None:
    """Ask about each order of a day, an hour's orders at the end of the hour."""
    by_hour: dict[int, list[dict[str, object]]] = {}
    for entry in happened:
        if entry.stream == "orders":
            order = json.loads(entry.payload)
            by_hour.setdefault((order["placed_at"] // HOUR_MS + 1) * HOUR_MS, []).append(
                {key: order[key] for key in ("order_id", "shop", "amount")}
            )
    for at_ms, questions in by_hour.items():
        answer = client.post(f"/v1/models/late_order/predict?at={at_ms}", content=orjson.dumps(questions))
        assert answer.status_code == 200, answer.text
        asked |= {str(question["order_id"]): at_ms for question in questions}


def came_true(run: Run, key: str) -> float:
    """Whether it was reported late in the six hours after the question."""
    return float(run.asked[key] < run.told_ms.get(key, 0) <= run.asked[key] + WITHIN_MS)


def over(run: Run) -> list[str]:
    """The orders of which nothing more can be told, in the order in which they were asked about."""
    return [key for key, at_ms in run.asked.items() if at_ms < run.workspace.now_ms() - WITHIN_MS]


def test_each_question_has_one_outcome_once_nothing_more_can_be_told(run: Run) -> None:
    keys = over(run)
    assert 0.5 * len(run.asked) < len(keys) < len(run.asked)
    known = newest_known(run.workspace, MODEL, 1 << 30)
    assert [one.key for one in known] == keys
    assert [one.known_at_ms - run.asked[one.key] for one in known] == [WITHIN_MS] * len(keys)
    assert [one.value for one in known] == [came_true(run, key) for key in keys]
    assert [one.key for one in newest_known(run.workspace, MODEL, 30)] == keys[-30:]
    batches, after = [], 0
    while batch := known_after(run.workspace, MODEL, after, 700):
        batches += batch
        after = batch[-1].number
    assert batches == known
    for after_ms in (0, known[100].known_at_ms, known[-1].known_at_ms):
        assert count_known(run.workspace, MODEL, after_ms) == sum(one.known_at_ms > after_ms for one in known)


def test_the_detectors_hear_both_kinds_each_once(run: Run) -> None:
    assert run.heard == len(over(run))


def test_the_alarm_is_of_the_change_and_of_nothing_before(run: Run) -> None:
    changed_ms = tiny.START_MS + CHANGED * DAY_MS
    assert run.alarms and all(alarm.at_ms > changed_ms + WITHIN_MS for alarm in run.alarms)
    assert run.workspace.decisions.recent("late_order")


def test_the_alarm_is_dated_by_every_outcome_since_the_detectors_last_zero(run: Run) -> None:
    known = newest_known(run.workspace, MODEL, 1 << 30)
    answers = {score.key: score.answer for score in run.workspace.predictions.scores("late_order", [one.key for one in known])}
    watched = [MODEL.objective.watched(one.value, answers[one.key]) or (0.0, 0.0) for one in known]
    came_true, predicted = zip(*watched, strict=True)
    known_at_ms = [one.known_at_ms for one in known]
    raised = OutcomeMonitor(watch_settings()).update_many("1", came_true, predicted, known_at_ms)
    assert run.alarms == [dated_again(alarm, "binary", came_true, predicted, known_at_ms) for alarm in raised]
    assert any(alarm.since_ms > before.since_ms for alarm, before in zip(run.alarms, raised, strict=True))
    evidence = [decision.evidence for decision in run.workspace.decisions.recent("late_order")]
    assert run.alarms[0].since_ms in [each["since_ms"] for each in evidence]


def test_the_guard_does_not_take_a_feed_that_only_tells_of_the_late_for_a_broken_one(run: Run) -> None:
    served = run.registry.load("silence.late_order", 1)
    events = run.workspace.state.newest_outcomes("late_order", 1 << 30)
    assert len(events) > 1_000 and {one.value for one in events} == {1.0}
    assert data_fault(run.workspace, MODEL, served) == ""


def test_a_probation_judges_by_both_kinds(run: Run) -> None:
    assert run.registry.alias("silence.late_order", CHAMPION) == 1
    rows = labelled(run.workspace, MODEL, 1, 0)
    assert rows.served.keys == over(run)
    assert rows.outcome.tolist() == [came_true(run, key) for key in rows.served.keys]


def test_a_label_that_begins_to_count_silence_is_watched_anew(run: Run) -> None:
    other: Model = replace(MODEL, label=replace(MODEL.label, absent="drop"))
    watch = OutcomeWatch(run.workspace, run.registry, other)
    watch.step()
    _, state = run.workspace.monitors.load("outcomes:late_order")
    assert state is not None and "settled_prediction" not in state
    OutcomeWatch(run.workspace, run.registry, MODEL).step()
    _, again = run.workspace.monitors.load("outcomes:late_order")
    assert again is not None
    assert OutcomeMonitor.from_state(again, watch_settings()).n_labels("1") == run.heard
