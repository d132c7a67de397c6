"""The copier when its source fails, and when there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests import tiny
from tests.feeds import FileFeed, project_of, taps
from tidemill.errors import ProjectError
from tidemill.events import Arrived, Copied, Reader, Stream
from tidemill.project import Workspace
from tidemill.serving import Copier, copiers
from tidemill.streams import Position


@dataclass(frozen=True)
class Failing:
    """A source that fails so many times before it is itself: as a broker that goes away and comes back."""

    of: FileFeed
    failures: list[Exception] = field(default_factory=list)

    @property
    def description(self) -> str:
        """See `Source`."""
        return "failing"

    def open(self, stream: Stream, copied: Copied) -> Reader:
        """See `Source`."""
        return FailingReader(self.of.source.open(stream, copied), self.failures)


@dataclass(frozen=True)
class FailingReader:
    """Its reader; it fails after the events were read, and again when it is closed."""

    of: Reader
    failures: list[Exception]

    def read(self, limit: int) -> Arrived | None:
        """See `Reader`."""
        arrived = self.of.read(limit)
        if self.failures:
            raise self.failures.pop()
        return arrived

    def close(self) -> None:
        """See `Reader`."""
        self.of.close()
        if self.failures:
            raise OSError("the connection is broken")


@pytest.fixture
def feed(tmp_path: Path) -> FileFeed:
    """Files that are looked for often."""
    return FileFeed(tmp_path / "in", ".jsonl")


@pytest.fixture
def failing(feed: FileFeed, tmp_path: Path) -> Iterator[tuple[Workspace, Failing]]:
    """A workspace whose source fails three times."""
    source = Failing(feed, [OSError("third"), ValueError("second"), TimeoutError("first" * 1_000)])
    workspace = Workspace.open(project_of(source), tmp_path / "home")
    yield workspace, source
    workspace.close()


def test_it_goes_on_after_failures_and_says_what_the_last_one_was(failing: tuple[Workspace, Failing], feed: FileFeed) -> None:
    workspace, source = failing
    feed.put(taps(0, 5))
    (copier,) = copiers(workspace, 1_000)
    stopping, told, tell_failure = threading.Event(), list[str](), workspace.log.sources.tell_failure

    def noted(*what: Any) -> None:
        tell_failure(*what)
        told.append(workspace.log.sources.standing()["taps"].error or "")

    with patch.object(workspace.log.sources, "tell_failure", noted):
        thread = threading.Thread(target=copier.run, args=(stopping,))
        thread.start()
        deadline_s = time.monotonic() + 120
        while workspace.log.behind(Position({})) < 5 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        stopping.set()
        thread.join(120)
    assert not thread.is_alive()
    assert [error.partition(":")[0] for error in told] == ["TimeoutError", "ValueError", "OSError"]
    assert told[-1].startswith("OSError: third")
    assert all(len(error) <= 500 for error in told)
    assert workspace.log.behind(Position({})) == 5
    assert source.failures == []
    assert workspace.log.sources.standing()["taps"].error is None, "it is well again"


def test_it_goes_on_when_not_even_the_failure_can_be_noted(failing: tuple[Workspace, Failing], feed: FileFeed) -> None:
    workspace, source = failing
    feed.put(taps(0, 5))
    (copier,) = copiers(workspace, 1_000)
    stopping, refused = threading.Event(), []

    def full(*_: object) -> None:
        refused.append(OSError("no space left"))
        raise refused[-1]

    with patch.object(workspace.log.sources, "tell_failure", full):
        thread = threading.Thread(target=copier.run, args=(stopping,))
        thread.start()
        deadline_s = time.monotonic() + 120
        while workspace.log.behind(Position({})) < 5 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        stopping.set()
        thread.join(120)
    assert (workspace.log.behind(Position({})), source.failures) == (5, [])
    assert refused


def test_it_stops_at_once_while_it_waits_after_a_failure(failing: tuple[Workspace, Failing]) -> None:
    workspace, source = failing
    source.failures.extend(OSError("down") for _ in range(1_000))
    (copier,) = copiers(workspace, 1_000)
    stopping = threading.Event()
    thread = threading.Thread(target=copier.run, args=(stopping,))
    thread.start()
    deadline_s = time.monotonic() + 120
    while not workspace.log.sources.standing() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    stopping.set()
    thread.join(120)
    assert not thread.is_alive()
    assert workspace.log.sources.standing()["taps"].error is not None


def test_a_stream_without_a_source_cannot_be_copied(tmp_path: Path) -> None:
    workspace = Workspace.open(tiny.project, tmp_path)
    assert copiers(workspace, 1) == []
    with pytest.raises(ProjectError, match="has no source"):
        Copier(workspace, workspace.project.streams[0], 1)
    workspace.close()
