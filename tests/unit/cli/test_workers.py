"""Which processes of a server are started anew, and when they are given up; the processes are stood in for."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import multiprocess

from tidemill.cli.workers import Workers

NUMBERS = itertools.count(1)


@dataclass
class Stand:
    """In for a process: as it is told to be."""

    alive: bool = True
    ready: bool = False
    exitcode: int | None = 1
    pid: int = field(default_factory=lambda: next(NUMBERS))

    @property
    def process(self) -> Any:
        """What uvicorn asks too whether it lives."""
        return self

    child_conn = process

    def is_alive(self, timeout: float = 0) -> bool:
        """Whether it does."""
        return self.alive

    def is_ready(self, timeout: float = 0) -> bool:
        """Whether it serves."""
        return self.ready

    def start(self) -> None:
        """Nothing is to be done."""

    kill = join = close = start


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    held = {sign: signal.getsignal(sign) for sign in multiprocess.SIGNALS}
    monkeypatch.setattr(multiprocess, "Process", lambda *_: Stand())
    made = Workers(uvicorn.Config("a:b", workers=2), [])
    made.init_processes()
    yield made
    for sign, handler in held.items():
        signal.signal(sign, handler)


def rounds(workers: Workers, n: int, **places: dict[str, Any]) -> bool:
    """Look so often, each time with processes like this; answers whether they were given up."""
    for _ in range(n):
        for process, told in zip(workers.processes, places.values(), strict=True):
            for name, value in told.items():
                setattr(process, name, value)
        workers.keep_subprocess_alive()
    return workers.gave_up


DEAD, BEGINS, SERVES = {"alive": False}, {"alive": True}, {"alive": True, "ready": True}


def test_who_never_comes_up_is_given_up(workers: Workers) -> None:
    assert not rounds(workers, 2, one=DEAD, two=DEAD)
    assert rounds(workers, 1, one=DEAD, two=DEAD)
    assert workers.should_exit.is_set()


def test_who_begins_is_waited_for(workers: Workers) -> None:
    assert not rounds(workers, 5, one=DEAD, two=BEGINS)
    assert not rounds(workers, 1, one=SERVES, two=BEGINS)
    assert not rounds(workers, 50, one=SERVES, two=DEAD), "one answers"


def test_who_has_served_and_dies_is_started_anew(workers: Workers) -> None:
    for _ in range(20):
        assert not rounds(workers, 2, one=DEAD, two=DEAD)
        assert not rounds(workers, 1, one=SERVES, two=SERVES)


def test_who_says_that_it_cannot_begin_has_its_tries_like_any_other(workers: Workers) -> None:
    fails = {"alive": False, "exitcode": STARTUP_FAILURE}
    assert not rounds(workers, 20, one=fails, two=BEGINS)
    assert not rounds(workers, 2, one=fails, two=fails)
    assert rounds(workers, 1, one=fails, two=fails)


def test_while_one_serves_the_other_is_started_anew_whatever_it_says(workers: Workers) -> None:
    fails = {"alive": False, "exitcode": STARTUP_FAILURE}
    assert not rounds(workers, 1, one=SERVES, two=BEGINS)
    assert not rounds(workers, 20, one=SERVES, two=fails)
    assert not workers.should_exit.is_set()
    assert not rounds(workers, 1, one=DEAD, two=DEAD), "each has its tries from now on"
    assert not rounds(workers, 1, one=DEAD, two=DEAD)


def test_who_is_told_to_end_has_not_given_up(workers: Workers) -> None:
    workers.handle_term()
    assert not rounds(workers, 1, one=DEAD, two=DEAD)
