"""The ends that events are put into, for `bench_ingest`: each with its source, and with its client doing nothing but reading or sending."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Protocol

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tidemill.events import Source
from tidemill.sources import Files, Kafka

BATCH = 500


@dataclass(frozen=True)
class Pace:
    """How much a system at an end is meant to take.

    Args:
        share: of the events that lie ready, and of the steady load.
        put_every_s: how often the steady load puts what is due.
        probes_per_s: how many single events are put beside it.
    """

    share: float = 1.0
    put_every_s: float = 0.02
    probes_per_s: float = 100.0


FULL = Pace()


class End(Protocol):
    """Where events are put, from any process: it can be pickled, and connects when it is first used."""

    @property
    def pace(self) -> Pace:
        """How much it is given."""
        ...

    def put(self, texts: Sequence[str]) -> None:
        """Send these; they are there on return."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class CopiedEnd(End, Protocol):
    """One whose events are copied into the log."""

    @property
    def source(self) -> Source:
        """What copies it."""
        ...

    def read_alone(self) -> int:
        """Read every event with the same client and do nothing with it; answers how many."""
        ...


@dataclass
class Http:
    """`POST /v1/streams/payments/events` of a server at `port`."""

    port: int
    pace: Pace = FULL
    _link: HTTPConnection | None = field(default=None, repr=False)

    def put(self, texts: Sequence[str]) -> None:
        """One request; a server that is behind is asked again when it says so."""
        self._link = self._link or HTTPConnection("127.0.0.1", self.port)
        while True:
            self._link.request("POST", "/v1/streams/payments/events", "\n".join(texts).encode())
            answer = self._link.getresponse()
            said = answer.read()
            if answer.status == 200:
                return
            if answer.status != 429:
                raise RuntimeError(f"the server answered {answer.status}: {said[:200]!r}")
            time.sleep(float(answer.headers["retry-after"]))

    def close(self) -> None:
        """See `End`."""
        if self._link is not None:
            self._link.close()
            self._link = None


@dataclass
class Folder:
    """A watched folder: a file of lines with every `put`."""

    path: Path
    pace: Pace = FULL
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def source(self) -> Source:
        """What copies it."""
        return Files(f"{self.path}/*.jsonl", settle_s=0.0, look_every_s=0.1)

    def put(self, texts: Sequence[str]) -> None:
        """Write under a hidden name, and rename."""
        self.path.mkdir(exist_ok=True)
        hidden = self.path / f".{next(self._numbers):09d}-{time.time_ns()}.jsonl"
        hidden.write_text("".join(f"{text}\n" for text in texts))
        hidden.rename(self.path / hidden.name[1:])

    def close(self) -> None:
        """See `End`."""

    def read_alone(self) -> int:
        """Read every line and do nothing with it; answers how many."""
        return sum(1 for file in sorted(self.path.glob("*.jsonl")) for _ in file.open(encoding="utf-8"))


@dataclass
class Topic:
    """A Kafka topic of one partition."""

    bootstrap: str
    name: str
    pace: Pace = FULL
    _producer: Any = field(default=None, repr=False)

    @property
    def source(self) -> Source:
        """What copies it."""
        return Kafka(self.name, self.bootstrap)

    def put(self, texts: Sequence[str]) -> None:
        """Send them all, and wait until the broker has them."""
        self._producer = self._producer or KafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=0)
        for text in texts:
            self._producer.send(self.name, text.encode())
        self._producer.flush()

    def close(self) -> None:
        """See `End`."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def read_alone(self) -> int:
        """Poll every record and do nothing with it; answers how many."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False, isolation_level="read_committed")
        partition = TopicPartition(self.name, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end, n_records = consumer.end_offsets([partition])[partition], 0
        while consumer.position(partition) < end:
            n_records += sum(len(records) for records in consumer.poll(1_000, max_records=5_000).values())
        consumer.close()
        return n_records
