"""Versions that are started beside what serves: not ready at first, then taken once, and tried again where that may help."""

from __future__ import annotations

import threading
import time

import pytest

from tidemill.errors import ConflictError, UnavailableError
from tidemill.serving.starting import StartingError, Starts

KEY = ("refund", 3)


def take(starts: Starts[str], make: object, for_s: float = 60.0) -> str:
    """What comes of it, asked again until it is ready."""
    end_s = time.monotonic() + for_s
    while True:
        try:
            return starts.take(KEY, "version 3", make)  # type: ignore[arg-type]  # a function of nothing
        except StartingError as error:
            if "could not" in str(error) or time.monotonic() > end_s:
                raise
            time.sleep(0.01)


def test_one_is_made_beside_who_asks_and_taken_once() -> None:
    starts, may = Starts[str](lambda: None), threading.Event()

    def make() -> str:
        assert may.wait(60)
        return "ready"

    with pytest.raises(StartingError, match="version 3 is being started"):
        starts.take(KEY, "version 3", make)
    assert starts.are_going("refund") and not starts.are_going("late")
    may.set()
    assert take(starts, make) == "ready"
    assert not starts.are_going("refund")


def test_one_that_failed_says_why_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def make() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise UnavailableError("no memory")
        return "ready"

    starts = Starts[str](lambda: None)
    for _ in range(2):
        with pytest.raises(StartingError, match="could not be started: no memory; it is tried again"):
            take(starts, make)
    assert tries == [1], "not at once"
    assert starts.are_going("refund"), "it is looked at again"
    ended_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: ended_s + 10.0)
    assert take(starts, make) == "ready"


def test_what_trying_again_does_not_change_is_told_as_it_is_and_what_nobody_wants_is_forgotten() -> None:
    starts, may = Starts[str](lambda: None), threading.Event()

    def refuse() -> str:
        assert may.wait(60)
        raise ConflictError("not enabled")

    with pytest.raises(StartingError):
        starts.take(KEY, "version 3", refuse)
    may.set()
    with pytest.raises(ConflictError, match="not enabled"):
        take(starts, refuse)
    assert not starts.are_going("refund")
    may.clear()
    with pytest.raises(StartingError):
        starts.take(KEY, "version 3", lambda: str(threading.Event().wait(60)))
    starts.keep("refund", {4})
    assert not starts.are_going("refund")
    may.set()
