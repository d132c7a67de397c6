"""End to end from Kafka: a topic's values go durably into tidemill's log, and the engine applies them; with tidemill's public API only.

Not through `tidemill.sources.Kafka`, which is newer: `benchmarks/peers/kafka_feed/consume.py` reads the topic, in a process and an
environment of its own:
```
Kafka ──kafka-python──► consume.py ──pipe──► log.append (fsync) ──► engine.drain ──► tiles, ids, books, position
                            ▲                     │
                            └── group offsets ◄───┘  committed after the append
```
An event is known when it is appended, as events of any source are. After a crash between append and commit the topic's values come once
more, and the engine finds their ids: each counts once.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import tomllib
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from time import perf_counter

from benchmarks.cards import project
from benchmarks.peer import PEERS, PeerError, environment, prepare
from tidemill.clock import wall_ms
from tidemill.heap import settle_heap
from tidemill.project import Workspace
from tidemill.settings import EngineSettings
from tidemill.streams import Entry

_CONSUMER = PEERS / "kafka_feed"
_END_S = 30.0  # for the consumer to leave its group


@dataclass(frozen=True)
class Topic:
    """What to read.

    Args:
        bootstrap: where the broker listens.
        name: of the topic.
        batch: the most records that are appended in one transaction.
    """

    bootstrap: str
    name: str
    batch: int = 10_000


@dataclass(frozen=True)
class Fed:
    """What came of it: events, and the seconds from the first one consumed to the last one applied."""

    events: int
    seconds: float


def feed(topic: Topic) -> Fed:
    """Read a whole topic into a new home, in a process of its own.

    Raises:
        PeerError: the consumer cannot be set up, or failed.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(_feed_here, topic).result()


def _feed_here(topic: Topic) -> Fed:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(project, Path(folder))
        settle_heap()
        with consuming(topic) as link:
            fed = take(link, workspace)
        books = workspace.books()["payments"]
        assert books.applied == fed.events and books.balanced, books
        workspace.close()
    return fed


def take(link: Connection, workspace: Workspace) -> Fed:
    """Append every batch that comes through `link`, tell that it lies in the log, and apply it.

    Raises:
        PeerError: the other end is gone before it has told its end.
    """
    engine, limit = workspace.engine(), EngineSettings().batch_events
    events, first_s = 0, 0.0
    try:
        while (batch := link.recv()) is not None:
            taken_s, values, until = batch
            first_s = first_s or taken_s
            workspace.log.append([Entry("payments", value.decode()) for value in values], now_ms=wall_ms())
            link.send(until)
            engine.drain(limit)
            events += len(values)
    except (EOFError, BrokenPipeError) as error:
        raise PeerError(f"the consumer ended after {events} records") from error
    return Fed(events, perf_counter() - first_s if events else 0.0)


@contextmanager
def consuming(topic: Topic) -> Iterator[Connection]:
    """A consumer of the topic, in a group of its own, at the other end of the pipe.

    Raises:
        PeerError: it cannot be set up, or failed; with what it said last.
    """
    python = prepare(_CONSUMER)
    here, there = Pipe()
    with tempfile.TemporaryDirectory(prefix="kafka-feed-") as scratch, (Path(scratch) / "said").open("w+b") as said, here:
        asked = {"bootstrap": topic.bootstrap, "topic": topic.name, "batch": topic.batch}
        asked |= {"group": f"tidemill-{uuid.uuid4().hex[:8]}", "link": there.fileno()}
        command = [str(python), str(_CONSUMER / "consume.py"), json.dumps(asked)]
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment(scratch), pass_fds=[there.fileno()])
        there.close()
        try:
            yield here
            code = process.wait(_END_S)
        except (PeerError, subprocess.TimeoutExpired) as error:
            raise PeerError(f"{error}: {_said(said.fileno())}") from error
        finally:
            process.kill()
            process.wait()
        if code != 0:
            raise PeerError(f"the consumer ended with code {code}: {_said(said.fileno())}")


def client_version() -> str:
    """Of kafka-python, as the consumer's environment is locked."""
    packages = tomllib.loads((_CONSUMER / "uv.lock").read_text(encoding="utf-8"))["package"]
    return next(str(package["version"]) for package in packages if package["name"] == "kafka-python")


def _said(file: int) -> str:
    return os.pread(file, 100_000, 0).decode(errors="replace").strip()[-1_500:]
