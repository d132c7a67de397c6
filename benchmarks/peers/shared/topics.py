"""Topics of a broker, read from their first record to their last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition


def records(bootstrap: str, topic: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record of a topic, in order within a partition."""
    left = topic_records(bootstrap, topic)
    with consumer(bootstrap) as reader:
        reader.assign(topic_partitions(bootstrap, topic))
        while left:
            batch = reader.consume(min(left, 10_000), timeout=30)  # it waits for that many
            if not batch:
                raise SystemExit(f"{left} records of {topic} cannot be read")
            for record in batch:
                if record.error() is not None:
                    raise SystemExit(f"{topic}: {record.error()}")
                yield record.key().decode(), orjson.loads(record.value())
            left -= len(batch)


def topic_records(bootstrap: str, topic: str) -> int:
    """How many records a topic holds."""
    with consumer(bootstrap) as reader:
        return sum(reader.get_watermark_offsets(part, timeout=30)[1] for part in topic_partitions(bootstrap, topic))


def topic_partitions(bootstrap: str, topic: str) -> list[TopicPartition]:
    """The partitions of a topic, from their first record on."""
    with consumer(bootstrap) as reader:
        return [TopicPartition(topic, number, 0) for number in reader.list_topics(topic, timeout=30).topics[topic].partitions]


@contextmanager
def consumer(bootstrap: str) -> Iterator[Consumer]:
    """A consumer that commits nothing."""
    opened = Consumer({"bootstrap.servers": bootstrap, "group.id": "check", "enable.auto.commit": False})
    try:
        yield opened
    finally:
        opened.close()
