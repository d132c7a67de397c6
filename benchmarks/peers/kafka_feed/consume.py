"""Read a Kafka topic to its end with kafka-python and hand its values to the process that started this one, through a pipe.

It stands in for the Kafka source that tidemill does not have yet, with the client that source will use. The pipe's file descriptor is
`link`; over it go Python's own pickles, as both ends are of this repository:
- from here: `(taken_s, values, until)` for each batch: when it was taken (`time.perf_counter`, which processes of a machine share), the
  records' values in order of their partition, and by partition the offset after its last one; at the end None.
- to here: an `until` whose values lie durably in the log. Only then are these offsets committed for the group, so a crash makes the
  topic's values come again and never lets one be lost; who reads them counts an id once.
At most two batches are on their way at a time.

Settings: the group's own commits only, checksums checked (with the package crc32c; kafka-python's own are slower), at most `batch` records
a poll, fetches of up to 4 MB.

Arguments: bootstrap, topic, group, batch, link.
Figures: none; the answer says how many `records` were handed over.
"""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from typing import Any

from answer import answer, arguments, versions
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

_AHEAD = 2
_POLL_MS = 500


def main() -> None:
    """Consume, then say how much it was."""
    found = arguments({"bootstrap": None, "topic": None, "group": None, "batch": 10_000, "link": None})
    consumer = KafkaConsumer(
        found["topic"],
        bootstrap_servers=found["bootstrap"],
        group_id=found["group"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=found["batch"],
        max_partition_fetch_bytes=4 << 20,
    )
    with Connection(found["link"]) as link:
        records = hand_over(consumer, found["topic"], link)
    consumer.close()
    answer(versions("kafka-python"), found, [], records=records)


def hand_over(consumer: KafkaConsumer, topic: str, link: Connection) -> int:
    """Send everything the topic holds now and commit what was taken over; answer how many records.

    Raises:
        SystemExit: the group's offsets are not at the end afterwards.
    """
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    ends = consumer.end_offsets(partitions)
    left = sum(ends.values())
    records = ahead = 0
    while left > 0:
        polled = consumer.poll(timeout_ms=_POLL_MS)
        taken_s = time.perf_counter()
        if polled:
            values = [record.value for batch in polled.values() for record in batch]
            link.send((taken_s, values, {part.partition: batch[-1].offset + 1 for part, batch in polled.items()}))
            records, left, ahead = records + len(values), left - len(values), ahead + 1
        ahead -= commit_taken(consumer, topic, link, ahead, _AHEAD)
    commit_taken(consumer, topic, link, ahead, 1)
    link.send(None)
    committed = {part: consumer.committed(part) or 0 for part in partitions}
    if committed != ends:
        raise SystemExit(f"the group's offsets are {committed} instead of {ends}")
    return records


def commit_taken(consumer: KafkaConsumer, topic: str, link: Connection, ahead: int, most: int) -> int:
    """Wait until fewer than `most` of the `ahead` batches are on their way, commit what the log has, answer how many batches that was."""
    taken = 0
    until: dict[int, int] = {}
    while ahead - taken >= most or link.poll():
        told: dict[int, Any] = link.recv()
        until.update(told)
        taken += 1
    if until:
        consumer.commit({TopicPartition(topic, number): OffsetAndMetadata(offset, "", -1) for number, offset in until.items()})
    return taken


if __name__ == "__main__":
    main()
