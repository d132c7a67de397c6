"""Versions that are started beside what serves: not ready at first, then taken once, and tried again where that may help."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from tidemill.errors import ConflictError, UnavailableError
from tidemill.serving import starting
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


def test_what_trying_again_does_not_change_is_told_as_it_is_and_not_tried() -> None:
    starts, may, asked = Starts[str](lambda: None), threading.Event(), list[int]()

    def refuse() -> str:
        asked.append(1)
        assert may.wait(60)
        raise ConflictError("not enabled")

    with pytest.raises(StartingError):
        starts.take(KEY, "version 3", refuse)
    may.set()
    for _ in range(2):
        with pytest.raises(ConflictError, match="not enabled"):
            take(starts, refuse)
    assert not starts.are_going("refund"), "nothing else comes of it"
    starts.keep("refund", {4})
    with pytest.raises(ConflictError):
        take(starts, refuse)
    assert asked == [1, 1], "it was forgotten"


def test_one_under_way_is_kept_until_it_is_there() -> None:
    starts, may, made = Starts[str](lambda: None), threading.Event(), list[int]()

    def make() -> str:
        made.append(1)
        assert may.wait(60)
        return "ready"

    for _ in range(3):
        with pytest.raises(StartingError):
            starts.take(KEY, "version 3", make)
        starts.keep("refund", {4})
    may.set()
    assert take(starts, make) == "ready", "it was asked for once more"
    may.clear()
    with pytest.raises(StartingError):
        starts.take(KEY, "version 3", make)
    may.set()
    end_s = time.monotonic() + 60
    while starts.are_going("refund"):
        assert time.monotonic() < end_s
        starts.keep("refund", {4})
    assert made == [1, 1], "and let go once nobody did"


class Opened:
    """What is opened on the way, a process say."""


@pytest.mark.parametrize("error", [ConflictError("not enabled"), UnavailableError("no memory"), RuntimeError("odd")])
def test_what_was_opened_by_one_that_failed_is_let_go(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting.logger, "disabled", True)  # pytest keeps what is logged
    held: list[weakref.ref[Opened]] = []

    def make() -> str:
        opened = Opened()
        held.append(weakref.ref(opened))
        raise type(error)(*error.args)

    starts = Starts[str](lambda: None)
    for _ in range(2):
        with pytest.raises((ConflictError, StartingError), match=str(error)):
            starts.take(KEY, "version 3", make, patience_s=60)
    gc.collect()
    assert [one() for one in held] == [None]
