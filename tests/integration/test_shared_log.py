"""Several engines share a log in Kafka and a state in PostgreSQL: they come, leave, are killed and stopped, and each event counts once.

```
 taps 0 ─┐            ┌─ tidemill work ─┐
 taps 1 ─┤  a group   ├─ tidemill work ─┼─► one PostgreSQL: tiles, ids, books, the position of every partition
 taps 2 ─┤            └─ tidemill work ─┘
 taps 3 ─┘
```
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import RetriableError

from tests.databases import fresh_databases
from tests.kafka_server import KafkaServer, kafka_server
from tests.services import program
from tidemill.clock import DAY_MS, wall_ms
from tidemill.project import Workspace, load_project
from tidemill.settings import KafkaLogSettings, LogSettings
from tidemill.stores import EVENT_ID, Lookup
from tidemill.stores.file_lock import try_lock

PATIENCE_S = 420.0  # who waits for the right of an engine that stands still is told after two minutes, and tries again
PAUSE_S = 0.1  # between what is sent: whatever happens, events are on their way, and two cores have time for engines that start
PARTITIONS = 4
CARDS = [f"c{number}" for number in range(9)]
PROJECT = """
from pydantic import BaseModel
from tidemill import Kafka, Project, Stream, View, count, max_, sum_

class Tap(BaseModel):
    tap_id: str
    at: int
    card: str
    fare: float

taps = Stream("taps", schema=Tap, event_time="at", event_id="tap_id", allowed_lateness="7d", source=Kafka("{topic}", "{bootstrap}"))
features = {{"n": count(over="1d"), "sum": sum_("fare", over="1d"), "max": max_("fare", over="1d")}}
by_card = View("by_card", taps, entity="card", features=features)
project = Project("shared", streams=[taps], views=[by_card])
"""


class Group:
    """The engines of one group, and who sends them events."""

    def __init__(self, server: KafkaServer, folder: Path, database: str) -> None:
        self.server = server
        self.topic = server.new_topic(PARTITIONS, {"message.timestamp.type": "LogAppendTime"})
        self.name = f"group-{uuid.uuid4().hex[:8]}"
        self.sent: list[dict[str, Any]] = []
        self._folder = folder
        self._file = folder / "project.py"
        self._file.write_text(PROJECT.format(topic=self.topic, bootstrap=server.bootstrap), encoding="utf-8")
        self._environ = os.environ | {
            "TIDEMILL_HOME": str(folder / "home"),
            "TIDEMILL_PROJECT": str(self._file),
            "TIDEMILL_PROFILE": "server",
            "TIDEMILL_DATABASE__URL": database,
            "TIDEMILL_LOG__KIND": "kafka",
            "TIDEMILL_LOG__KAFKA__BOOTSTRAP": server.bootstrap,
            "TIDEMILL_LOG__KAFKA__GROUP": self.name,
            "TIDEMILL_LOG__KAFKA__SESSION_S": "6",  # as short as brokers allow
        }
        log = LogSettings(kind="kafka", kafka=KafkaLogSettings(bootstrap=server.bootstrap))
        self.workspace = Workspace.open(load_project(self._file), folder / "home", database=database, log=log)
        self._engines: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """One engine more."""
        with (self._folder / f"engine{len(self._engines)}.log").open("ab") as log:
            line = [program("tidemill"), "work", *options]
            self._engines.append(subprocess.Popen(line, env=self._environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        return self._engines[-1]

    def shares(self) -> list[int]:
        """Of each member, how many partitions it has; nothing while it is not settled."""
        try:
            told = self.server.admin.describe_groups([self.name])[self.name]
        except RetriableError:  # the broker's first group: its topic of groups is being made
            return []
        if told["group_state"] != "Stable":
            return []
        return sorted(
            len(numbers)
            for member in told["members"]
            for topic in member["member_assignment"]["assigned_partitions"]
            if (numbers := topic["partitions"])
        )

    def committed(self) -> list[int]:
        """Of each partition, the offset that the group has committed."""
        held = next(iter(self.server.admin.list_group_offsets(self.name).values()))
        return [found.offset for _, found in sorted(held.items())]

    def settles(self, *shares: int) -> None:
        """Wait until the engines have such shares, and have applied in every partition what comes after that."""
        self.wait(lambda: self.shares() == sorted(shares), f"shares of {shares}")
        ends = self.workspace.log.end()
        self.wait(lambda: self.workspace.state.position().at_least(ends), "what was sent is applied")

    def wait(self, come: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not come():
            assert time.monotonic() < deadline_s, f"not within {PATIENCE_S:.0f} s: {what}; {self.tail()}"
            time.sleep(0.1)

    def tail(self) -> str:
        """How the logs of the engines end."""
        return "\n".join(path.read_text()[-2_000:] for path in sorted(self._folder.glob("engine*.log")))

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send taps until the block ends; some ids come again, in whichever partition."""
        stopping, rng = threading.Event(), random.Random(5)

        def send() -> None:
            while not stopping.wait(PAUSE_S):
                fresh = [
                    {"tap_id": f"t{len(self.sent) + n}", "at": wall_ms(), "card": rng.choice(CARDS), "fare": rng.randrange(97) / 8}
                    for n in range(8)
                ]
                again = rng.sample(self.sent, min(2, len(self.sent)))
                some = rng.sample([*fresh, *again], len(fresh) + len(again))
                for part in range(PARTITIONS):
                    self.server.send(self.topic, [json.dumps(tap).encode() for tap in some[part::PARTITIONS]], partition=part)
                self.sent += fresh

        sender = threading.Thread(target=send)
        sender.start()
        try:
            yield
        finally:
            stopping.set()
            sender.join()

    def close(self) -> None:
        """End everything."""
        for engine in self._engines:
            if engine.poll() is None:
                engine.kill()
            engine.wait()
        self.workspace.close()


@pytest.fixture
def group(tmp_path: Path, postgres_url: str) -> Iterator[Group]:
    """A group without engines yet."""
    with fresh_databases(postgres_url, tmp_path / "home") as databases:
        assert databases.url is not None
        made = Group(kafka_server(), tmp_path, databases.url)
        try:
            yield made
        finally:
            made.close()


def recounted(taps: list[dict[str, Any]]) -> dict[str, list[float]]:
    """What the view says of each card, counted by hand."""
    by_card = {card: [tap["fare"] for tap in taps if tap["card"] == card] for card in CARDS}
    return {
        "n": [float(len(fares)) for fares in by_card.values()],
        "sum": [sum(fares) for fares in by_card.values()],
        "max": [max(fares) for fares in by_card.values()],
    }


def free(lock: Path) -> bool:
    """Whether nobody holds a lock."""
    with try_lock(lock, alone=True) as held:
        return held


def end(engine: subprocess.Popen[bytes]) -> None:
    """End an engine in order."""
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(PATIENCE_S) == 0


@pytest.mark.timeout(900)
def test_engines_come_and_go_and_each_event_counts_once(group: Group) -> None:
    keeper = group.workspace.home / "keeper.lock"
    with group.sending():
        first, second = group.start(), group.start("--engine-only")
        group.wait(lambda: not free(keeper), "the first does the rest")
        third = group.start()
        group.settles(1, 1, 2)
        end(second)
        group.settles(2, 2)
        third.send_signal(signal.SIGSTOP)
        group.settles(4)
        third.send_signal(signal.SIGCONT)
        group.settles(2, 2)
        first.kill()
        group.settles(4)
        last = group.committed()
        group.wait(lambda: all(now > then for now, then in zip(group.committed(), last, strict=True)), "committed offsets follow")
    group.settles(4)
    group.wait(lambda: not free(keeper), "the third does the rest")
    end(third)
    books = group.workspace.books()["taps"]
    assert books.balanced and books.pending == 0
    assert (books.applied, books.rejected, books.late) == (len(group.sent), 0, 0)
    assert books.duplicate == books.received - len(group.sent) > 0
    ids = Counter(group.workspace.lake.dataset("taps").to_table([EVENT_ID]).column(EVENT_ID).to_pylist())
    assert ids == Counter(tap["tap_id"] for tap in group.sent), "the lake's writer has changed too"
    read = group.workspace.state.tiles.read([Lookup("by_card", CARDS)], (wall_ms() // DAY_MS + 1) * DAY_MS).values
    values = {name.rpartition("__")[2]: [float(value) for value in column] for name, column in read.items()}
    assert values == recounted(group.sent)
