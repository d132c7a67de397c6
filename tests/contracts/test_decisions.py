"""What the loop's stores promise across threads, processes and kill -9, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import event

from tests.forked import forked
from tidemill.errors import ConflictError
from tidemill.stores import Databases, open_loop
from tidemill.stores.alerts import Alert, AlertStore
from tidemill.stores.decisions import Decision, DecisionStore
from tidemill.stores.monitor_state import MonitorStateStore

N_DECISIONS = 40
TIMEOUT_S = 240.0


def claim_when_told(home: Path, url: str | None, name: str) -> None:
    """Claim all decisions once the start file is there, so that both processes claim at the same time; write down which were won."""
    store = DecisionStore(open_loop(Databases(home, url)))
    home.mkdir(exist_ok=True)
    (home / f"ready-{name}").touch()
    while not (home / "start").exists():
        time.sleep(0.001)
    won = [number for number in range(N_DECISIONS) if store.claim(f"d{number}", f"{name}-{number}", wall_ms=20)]
    (home / f"won-{name}").write_text(json.dumps(won))


def step_and_die(home: Path, url: str | None, after: int) -> None:
    """One monitor step that kills its own process.

    Args:
        home: of the databases.
        url: where they are, unless in files.
        after: how many statements inside the transaction (0: just before the commit, -1: just after it). Nothing of ours is
            replaced; only SQLAlchemy's events are listened to.
    """
    engine = open_loop(Databases(home, url))
    n_writes = 0

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal n_writes
        n_writes += statement.startswith(("INSERT", "UPDATE"))
        if after > 0 and n_writes == after:
            die()

    event.listen(engine, "after_cursor_execute", count)
    if after == 0:
        event.listen(engine, "commit", die)
    store = MonitorStateStore(engine)
    was, _ = store.load("m")
    alert = Alert("alert-1", "late", "warning", "t", "b", "", at_ms=900)
    asked = Decision("d-1", "late", "error", "alarm-1", "errors rose", requested_at_ms=900, requested_wall_ms=5)
    store.save("m", was, was + 10, {"n": 1}, alerts=[alert], decisions=[asked])
    die()


def decision(number: int, alarm: str = "") -> Decision:
    return Decision(f"d{number}", "late", "error", alarm or f"alarm-{number}", "errors rose", requested_at_ms=1, requested_wall_ms=number)


def in_threads(n: int, act: object) -> None:
    """Call `act(number)` in `n` threads that start together."""
    assert callable(act)
    barrier = threading.Barrier(n)

    def run(number: int) -> None:
        barrier.wait()
        act(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert not any(thread.is_alive() for thread in threads)


def test_of_many_threads_exactly_one_claims(databases: Databases) -> None:
    store = DecisionStore(open_loop(databases))
    for number in range(N_DECISIONS):
        store.request(decision(number))
    won: list[tuple[int, int]] = []

    def claim_all(thread: int) -> None:
        won.extend((number, thread) for number in range(N_DECISIONS) if store.claim(f"d{number}", f"run-{thread}", wall_ms=20))

    in_threads(4, claim_all)
    assert sorted(number for number, _ in won) == list(range(N_DECISIONS))
    for number, thread in won:
        assert store.get(f"d{number}").flow_run_id == f"run-{thread}"


def test_of_two_processes_exactly_one_claims(databases: Databases) -> None:
    store = DecisionStore(open_loop(databases))
    for number in range(N_DECISIONS):
        store.request(decision(number))
    home = databases.home
    claimers = [forked(claim_when_told, home, databases.url, name) for name in "ab"]
    deadline_s = time.monotonic() + TIMEOUT_S
    while not all((home / f"ready-{name}").exists() for name in "ab") and time.monotonic() < deadline_s:
        time.sleep(0.01)
    (home / "start").touch()
    for claimer in claimers:
        claimer.join(TIMEOUT_S)
    assert [claimer.exitcode for claimer in claimers] == [0, 0]
    won = [json.loads((home / f"won-{name}").read_text()) for name in "ab"]
    assert sorted(won[0] + won[1]) == list(range(N_DECISIONS))
    assert all(store.get(f"d{number}").flow_run_id == f"a-{number}" for number in won[0])


def test_an_alarm_raised_by_many_threads_makes_one_decision_and_one_event(databases: Databases) -> None:
    store = DecisionStore(open_loop(databases))
    made: list[int] = []

    def ask(thread: int) -> None:
        if store.request(decision(thread, alarm="the same alarm")):
            made.append(thread)

    in_threads(8, ask)
    assert len(made) == 1
    assert [found.id for found in store.recent()] == [f"d{made[0]}"]
    assert [event.decision_id for event in store.unclaimed(10, 1)] == [f"d{made[0]}"]
    assert store.request(Decision("x", "other", "error", "the same alarm", "r", requested_at_ms=1, requested_wall_ms=1))


def test_of_two_monitors_at_one_cursor_one_saves(databases: Databases) -> None:
    store = MonitorStateStore(open_loop(databases))
    saved: list[int] = []
    refused: list[int] = []

    def step(thread: int) -> None:
        try:
            store.save("m", 0, 10 + thread, {"thread": thread})
            saved.append(thread)
        except ConflictError:
            refused.append(thread)

    in_threads(4, step)
    assert (len(saved), len(refused)) == (1, 3)
    assert store.load("m") == (10 + saved[0], {"thread": saved[0]})


def killed_step(databases: Databases, after: int) -> None:
    dying = forked(step_and_die, databases.home, databases.url, after)
    dying.join(TIMEOUT_S)
    assert dying.exitcode == -signal.SIGKILL


# The writes of a first step, in their order: state, alert, decision, outbox row; then the commit.
@pytest.mark.parametrize("after", [1, 2, 3, 4, 0], ids=["state", "alert", "decision", "outbox", "commit"])
def test_killed_before_the_commit_nothing_is_half_and_the_next_run_does_it(databases: Databases, after: int) -> None:
    killed_step(databases, after)
    engine = open_loop(databases)
    assert MonitorStateStore(engine).load("m") == (0, None)
    assert AlertStore(engine).recent() == []
    assert DecisionStore(engine).recent() == []
    assert DecisionStore(engine).unclaimed(10, 1) == []
    killed_step(databases, after=-1)
    assert whole_step(databases) == ((10, {"n": 1}), ["alert-1"], ["d-1"], ["d-1"])


def test_killed_after_the_commit_everything_is_there_and_the_same_alarm_doubles_nothing(databases: Databases) -> None:
    killed_step(databases, after=-1)
    assert whole_step(databases) == ((10, {"n": 1}), ["alert-1"], ["d-1"], ["d-1"])
    killed_step(databases, after=-1)
    assert whole_step(databases) == ((20, {"n": 1}), ["alert-1"], ["d-1"], ["d-1"])


def whole_step(databases: Databases) -> tuple[object, list[str], list[str], list[str]]:
    engine = open_loop(databases)
    decisions = DecisionStore(engine)
    alerts = [record.alert.key for record in AlertStore(engine).recent()]
    events = [event.decision_id for event in decisions.unclaimed(10, 1)]
    return MonitorStateStore(engine).load("m"), alerts, [found.id for found in decisions.recent()], events
