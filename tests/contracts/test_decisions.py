"""What the loop's stores promise across threads, processes and kill -9, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import pytest

from tidemill.errors import ConflictError
from tidemill.stores import Databases, open_loop
from tidemill.stores.alerts import AlertStore
from tidemill.stores.decisions import Decision, DecisionStore
from tidemill.stores.monitor_state import MonitorStateStore

N_DECISIONS = 40
TIMEOUT_S = 240

# Waits for the start file, so that both processes are past their imports and claim at the same time.
CLAIMER = """
import json, sys, time
from pathlib import Path
from tidemill.stores.decisions import DecisionStore
from tidemill.stores import Databases, open_loop
home, url, name, n = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
store = DecisionStore(open_loop(Databases(home, url or None)))
home.mkdir(exist_ok=True)
(home / f"ready-{name}").touch()
while not (home / "start").exists():
    time.sleep(0.001)
print(json.dumps([i for i in range(n) if store.claim(f"d{i}", f"{name}-{i}", wall_ms=20)]))
"""

# One monitor step that kills its own process after the given number of statements inside the transaction (0: just before the
# commit, -1: just after it). Nothing of ours is replaced; only SQLAlchemy's events are listened to.
STEP = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from tidemill.stores.alerts import Alert
from tidemill.stores.decisions import Decision
from tidemill.stores import Databases, open_loop
from tidemill.stores.monitor_state import MonitorStateStore
home, url, after = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
engine = open_loop(Databases(home, url or None))
writes = 0

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def count(connection, cursor, statement, *_):
    global writes
    writes += statement.startswith(("INSERT", "UPDATE"))
    if after > 0 and writes == after:
        die()

event.listen(engine, "after_cursor_execute", count)
if after == 0:
    event.listen(engine, "commit", die)
store = MonitorStateStore(engine)
was, _ = store.load("m")
alert = Alert("alert-1", "late", "warning", "t", "b", "", at_ms=900)
decision = Decision("d-1", "late", "error", "alarm-1", "errors rose", requested_at_ms=900, requested_wall_ms=5)
store.save("m", was, was + 10, {"n": 1}, alerts=[alert], decisions=[decision])
die()
"""


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
    command = [sys.executable, "-c", CLAIMER, str(home), databases.url or ""]
    processes = [subprocess.Popen([*command, name, str(N_DECISIONS)], stdout=subprocess.PIPE, text=True) for name in ("a", "b")]
    try:
        pause = threading.Event()
        for _ in range(TIMEOUT_S * 100):
            if all((home / f"ready-{name}").exists() for name in ("a", "b")):
                break
            pause.wait(0.01)
        (home / "start").touch()
        won = [json.loads(process.communicate(timeout=TIMEOUT_S)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
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
    done = subprocess.run(
        [sys.executable, "-c", STEP, str(databases.home), databases.url or "", str(after)],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


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
