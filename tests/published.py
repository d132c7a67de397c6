"""What tests publish, and what they find in the topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from kafka import KafkaConsumer, TopicPartition

from tests.kafka_server import KafkaServer
from tests.unit.events.taps import TAPS
from tidemill.project import Project, Workspace
from tidemill.stores import Answered
from tidemill.targets import KINDS, KafkaTopic


def project_to(topic: str, bootstrap: str, kinds: tuple[str, ...] = KINDS) -> Project:
    """A project that publishes these kinds to one topic."""
    target = KafkaTopic(topic, bootstrap, connect_s=2.0)
    return Project("tides", streams=[TAPS], publish={kind: target for kind in KINDS if kind in kinds})


def predict(workspace: Workspace, n: int, of_key: int = 5, request: str = "{}") -> list[int]:
    """Log predictions of some keys in turn, as a server does; answers their ids."""
    first = workspace.predictions.last_id() + 1
    answered = Answered(
        model="busy",
        at_ms=1_000,
        made_wall_ms=2_000,
        position="{}",
        digest="d",
        keys=[f"k{(first + place) % of_key}" for place in range(n)],
        requests=[request] * n,
        numbers=np.zeros((n, 1)),
        scores={"champion": (3, np.linspace(0, 1, n)), "frozen": (1, np.zeros(n))},
    )
    return workspace.predictions.write(answered)


@dataclass(frozen=True)
class Record:
    """One record of a topic."""

    partition: int
    key: str
    headers: dict[str, str]
    body: dict[str, Any]


def records(server: KafkaServer, topic: str) -> list[Record]:
    """Everything in a topic, each partition in its order."""
    consumer = KafkaConsumer(bootstrap_servers=server.bootstrap, isolation_level="read_committed", auto_offset_reset="earliest")
    try:
        parts = [TopicPartition(topic, part) for part in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(parts)
        ends, found = consumer.end_offsets(parts), list[Record]()
        while any(consumer.position(part) < ends[part] for part in parts):
            for part, some in consumer.poll(1_000).items():
                found += [_record(part.partition, one) for one in some]
    finally:
        consumer.close()
    return sorted(found, key=lambda record: record.partition)  # a stable sort


def _record(partition: int, record: Any) -> Record:
    headers = {name: value.decode() for name, value in record.headers}
    return Record(partition, record.key.decode(), headers, orjson.loads(record.value))


def first_ids(found: list[Record], kind: str) -> dict[str, list[str]]:
    """By key, the ids of a kind in the order in which each came first."""
    by_key: dict[str, dict[str, None]] = {}
    for record in found:
        if record.headers["kind"] == kind:
            by_key.setdefault(record.key, {})[record.headers["id"]] = None
    return {key: list(ids) for key, ids in by_key.items()}
