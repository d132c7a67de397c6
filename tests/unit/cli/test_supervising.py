"""Processes that are kept up side by side end in order, in their time, all of them, and with a code that says why."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import pytest

from tidemill.cli import supervising

PATIENCE_S = 120.0
# Read as a file, it needs nothing of tidemill, which takes seconds to import; with a terminal it is who Ctrl-C is for.
RUNS = """
import fcntl, json, os, runpy, sys, termios

if os.isatty(0):
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
module = runpy.run_path(sys.argv[1])
stages = [module["Stage"](frozenset(names), patience_s) for names, patience_s in json.loads(sys.argv[3])]
supervisor = module["Supervisor"](json.loads(sys.argv[2]), os.environ, stages, lambda name, pid: None)
supervisor.loop()
sys.exit(supervisor.returncode)
"""
ENDS = "sh -c 'trap \"sleep 0.5; echo bye; exit 0\" TERM; echo up; while :; do sleep 0.1; done'"
STAYS = "sh -c 'trap \"\" TERM; echo up; while :; do sleep 0.1; done'"
STAGES = [(("first", "other"), 600.0), (("last",), 600.0)]


def start(commands: Mapping[str, str], stages: object = STAGES, **streams: int) -> subprocess.Popen[str]:
    """Keep these up."""
    line = [sys.executable, "-c", RUNS, supervising.__file__, json.dumps(commands), json.dumps(stages)]
    return subprocess.Popen(line, text=True, start_new_session=True, **({"stdout": subprocess.PIPE} | streams))  # type: ignore[call-overload,no-any-return]  # of any streams


@contextmanager
def hanging_up(how: signal.Handlers) -> Iterator[None]:
    """Have what is started meanwhile begin with this answer to a closed terminal, whoever started the tests."""
    before = signal.signal(signal.SIGHUP, how)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def read_until(process: subprocess.Popen[str], *wanted: str) -> list[int]:
    """Read until each of these has been said; answers the process ids that were told."""
    left, pids = list(wanted), []
    assert process.stdout is not None
    for line in process.stdout:
        left = [one for one in left if one not in line]
        if "started (pid=" in line:
            pids.append(int(line.partition("pid=")[2].rstrip(")\n")))
        if not left:
            return pids
    raise AssertionError(left)


def gone(groups: Sequence[int]) -> bool:
    """Whether nothing is alive of these process groups; one whose parent was killed may stay on as a zombie for a while."""
    told = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    alive = {int(group) for group, state in map(str.split, told.splitlines()) if not state.startswith("Z")}
    return alive.isdisjoint(groups)


def test_those_that_others_ask_end_last() -> None:
    process = start({"last": ENDS, "first": ENDS, "other": ENDS})
    pids = read_until(process, "last   | up", "first  | up", "other  | up")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143
    last = said.index("sending SIGTERM to last")
    assert all(said.index(f"{name} stopped (rc=0)") < last for name in ("first", "other")), said
    assert "SIGKILL" not in said
    assert gone(pids)


@pytest.mark.parametrize(("command", "code"), [("true", 1), ("sh -c 'exit 7'", 7), ("sh -c 'kill -9 $$'", 137)])
def test_one_that_ends_by_itself_ends_all_and_says_why(command: str, code: int) -> None:
    process = start({"first": command, "last": ENDS})
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert "sending SIGTERM to last" in said


@pytest.mark.parametrize(("patience_s", "told"), [(0.5, 1), (600.0, 2)], ids=["in time", "told twice"])
def test_one_that_does_not_end_is_killed(patience_s: float, told: int) -> None:
    process = start({"first": STAYS, "last": STAYS}, [(("first",), patience_s), (("last",), patience_s)])
    pids = read_until(process, "first  | up", "last   | up")
    process.send_signal(signal.SIGINT)
    if told == 2:
        read_until(process, "sending SIGTERM to first")
        process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert [said.count(f"sending SIGKILL to {name}") for name in ("first", "last")] == [1, 1], said
    assert gone(pids)


def test_signals_that_come_together_are_one() -> None:
    process = start({"first": ENDS, "last": ENDS})
    pids = read_until(process, "first  | up", "last   | up")
    for how in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):  # as `timeout` tells the process, and then its group
        process.send_signal(how)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in (130, 143)
    assert all(f"{how} received" in said for how in ("SIGTERM", "SIGINT"))
    assert "SIGKILL" not in said
    assert gone(pids)


def test_who_read_along_may_end_before_them() -> None:
    process = start({"first": ENDS, "last": ENDS})
    pids = read_until(process, "first  | up", "last   | up")
    assert process.stdout is not None
    process.stdout.close()  # `up | tee FILE`: Ctrl-C is for both
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    assert gone(pids)


@pytest.mark.parametrize(("closed", "code"), [(False, 130), (True, 129)], ids=["Ctrl-C", "closed"])
def test_a_terminal_ends_them(closed: bool, code: int) -> None:
    ours, its = pty.openpty()
    with hanging_up(signal.SIG_DFL):
        process = start({"first": "sh -c 'echo $$ is up; exec sleep 600'"}, stdin=its, stdout=its, stderr=its)
    os.close(its)
    said = ""
    while not (found := re.search(r"(\d+) is up", said)):
        said += os.read(ours, 1_000).decode()
    if not closed:
        os.write(ours, b"\x03")
        with suppress(OSError):  # what Linux says where nobody has the other end any more
            while more := os.read(ours, 1_000):
                said += more.decode()
        assert "SIGINT received" in said
        assert "Traceback" not in said
    os.close(ours)
    assert process.wait(PATIENCE_S) == code
    assert gone([int(found[1])])


def test_a_closed_terminal_is_nothing_to_who_was_started_with_nohup() -> None:
    with hanging_up(signal.SIG_IGN):
        process = start({"first": ENDS})
    read_until(process, "first  | up")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143
    assert "SIGHUP" not in said
