"""Fill a new topic with the payments of a file, for this peer and for whoever else reads the same broker.

A record's value is the payment's line as it stands, its key the card, its timestamp the time it was paid at. A card's payments keep their
order. Nothing expires.

Arguments: bootstrap, payments (NDJSON), topic, partitions.
Figures: none; the answer says how many `records` there are, and how long it took (`seconds`).
"""

from __future__ import annotations

import time
from pathlib import Path

import orjson
from answer import answer, arguments, versions
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

_UNSENT = 100_000


def main() -> None:
    """Make the topic and send every line."""
    found = arguments({"bootstrap": None, "payments": None, "topic": "payments", "partitions": 1})
    admin = AdminClient({"bootstrap.servers": found["bootstrap"]})
    topic = NewTopic(found["topic"], found["partitions"], 1, config={"retention.ms": "-1"})
    admin.create_topics([topic])[found["topic"]].result()
    begin = time.perf_counter()
    records = send(Path(found["payments"]), found["bootstrap"], found["topic"])
    answer(versions("confluent-kafka"), found, [], records=records, seconds=time.perf_counter() - begin)


def send(payments: Path, bootstrap: str, topic: str) -> int:
    """Send each line; answer how many the broker has acknowledged.

    Raises:
        SystemExit: the broker refused one.
    """
    failed: list[KafkaError] = []

    def seen(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 2 * _UNSENT,
        }
    )
    records = 0
    with payments.open("rb") as lines:
        for line in lines:
            records += 1
            payment = orjson.loads(line)
            producer.produce(topic, line.rstrip(), payment["card"].encode(), timestamp=payment["paid_at"], on_delivery=seen)
            producer.poll(0 if len(producer) < _UNSENT else 0.1)
    producer.flush()
    if failed:
        raise SystemExit(f"the broker refused {len(failed)} of {records} records, first with: {failed[0]}")
    return records


if __name__ == "__main__":
    main()
