"""A monitor's step is saved whole: cursor, state, alerts, decisions and their outbox rows."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from tidemill.errors import ConflictError
from tidemill.stores import Databases, open_loop
from tidemill.stores.alerts import Alert, AlertStore
from tidemill.stores.decisions import Decision, DecisionStore
from tidemill.stores.monitor_state import MonitorStateStore, Saved

ALERT = Alert("alert-1", "late", "critical", "Errors rose", "0.31 -> 0.38", "", at_ms=900)
DECISION = Decision("d-1", "late", "error", "alarm-1", "errors rose", requested_at_ms=900, requested_wall_ms=5)


@pytest.fixture
def engine(databases: Databases) -> Engine:
    return open_loop(databases)


def test_a_step_is_saved_with_what_it_found(engine: Engine) -> None:
    store = MonitorStateStore(engine)
    assert store.load("m") == (0, None)
    assert store.save("m", 0, 10, {"sum": 0.1 + 0.2}, alerts=[ALERT], decisions=[DECISION]) == Saved(("alert-1",), ("d-1",))
    assert store.load("m") == (10, {"sum": 0.1 + 0.2})
    assert [record.alert for record in AlertStore(engine).recent()] == [ALERT]
    assert [event.decision_id for event in DecisionStore(engine).unclaimed(10, 1)] == ["d-1"]


def test_an_alarm_raised_in_two_steps_makes_one_of_each(engine: Engine) -> None:
    store = MonitorStateStore(engine)
    store.save("m", 0, 10, {}, alerts=[ALERT], decisions=[DECISION])
    again = Decision("d-2", "late", "error", "alarm-1", "still high", requested_at_ms=950, requested_wall_ms=6)
    assert store.save("m", 10, 20, {}, alerts=[ALERT], decisions=[again]) == Saved()
    assert DecisionStore(engine).recent() == [DECISION]


@pytest.mark.parametrize("was", [0, 5, 11])
def test_a_moved_cursor_conflicts_and_writes_nothing(engine: Engine, was: int) -> None:
    store = MonitorStateStore(engine)
    store.save("m", 0, 10, {"n": 1})
    with pytest.raises(ConflictError, match="stands at 10, not at"):
        store.save("m", was, 20, {"n": 2}, alerts=[ALERT], decisions=[DECISION])
    assert store.load("m") == (10, {"n": 1})
    assert AlertStore(engine).recent() == []
    assert DecisionStore(engine).recent() == []


def test_a_new_name_starts_at_nought_and_names_are_apart(engine: Engine) -> None:
    store = MonitorStateStore(engine)
    with pytest.raises(ConflictError, match="stands at 0, not at 3"):
        store.save("m", 3, 4, {})
    store.save("m", 0, 4, {})
    assert store.load("other") == (0, None)


def test_a_step_that_breaks_midway_writes_nothing(engine: Engine) -> None:
    DecisionStore(engine).request(DECISION)
    same_id = Decision("d-1", "late", "error", "alarm-2", "errors rose", requested_at_ms=1, requested_wall_ms=1)
    store = MonitorStateStore(engine)
    with pytest.raises(IntegrityError):
        store.save("m", 0, 10, {}, alerts=[ALERT], decisions=[same_id])
    assert store.load("m") == (0, None)
    assert AlertStore(engine).recent() == []


@pytest.mark.parametrize("cursor", [10, 9])
def test_the_cursor_must_move_forward(engine: Engine, cursor: int) -> None:
    store = MonitorStateStore(engine)
    store.save("m", 0, 10, {})
    with pytest.raises(ValueError, match="move forward"):
        store.save("m", 10, cursor, {})
