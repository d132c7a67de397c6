"""What stays of an entity in a topic: Kafka deletes no single event."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tidemill.clock import duration_text, to_utc
from tidemill.streams.log_offset import MAX_OFFSET, partition_of

RETENTION, CLEANUP = "retention.ms", "cleanup.policy"


@dataclass(frozen=True)
class TopicKeeps:
    """Events that stay in the topic of a stream.

    Args:
        topic: its name.
        events: how many of them.
        until: how long they stay, for people.
        cut: by partition, the offset before which all of them lie: what Kafka calls the first that is kept, when records are deleted.
    """

    topic: str
    events: int
    until: str
    cut: Mapping[str, int]

    @property
    def cut_json(self) -> str:
        """What `kafka-delete-records.sh` takes as its file: it deletes them with everything that lies before them.

        >>> TopicKeeps("taps", 2, "for good", {"0": 7}).cut_json
        '{"partitions": [{"topic": "taps", "partition": 0, "offset": 7}], "version": 1}'
        """
        parts = [{"topic": self.topic, "partition": int(part), "offset": offset} for part, offset in self.cut.items()]
        return json.dumps({"partitions": parts, "version": 1})


def topic_keeps(topic: str, settings: Mapping[str, str], log_offsets: Iterable[int], newest_ms: int) -> TopicKeeps:
    """What stays of some events.

    Args:
        topic: its name.
        settings: its `RETENTION` and `CLEANUP`.
        log_offsets: of the events.
        newest_ms: when the last of them became known.
    """
    offsets, cut = sorted(log_offsets), dict[str, int]()
    for one in offsets:
        cut[partition_of(one)] = one & MAX_OFFSET  # a log offset is Kafka's next one
    return TopicKeeps(topic, len(offsets), until_text(settings[CLEANUP], int(settings[RETENTION]), newest_ms), cut)


def until_text(cleanup: str, retention_ms: int, newest_ms: int) -> str:
    """How long a topic keeps an event.

    >>> until_text("delete", 86_400_000, 1_767_225_600_000)
    'until some time after 2026-01-02 00:00 UTC: retention.ms is 1d, and Kafka deletes whole segments'
    >>> until_text("delete", -1, 0)
    'for good: retention.ms is -1'
    """
    if "delete" not in cleanup:
        return f"until a newer record has the same key: {CLEANUP} is {cleanup}"
    if retention_ms < 0:
        return f"for good: {RETENTION} is {retention_ms}"
    until = to_utc(newest_ms + retention_ms)
    return (
        f"until some time after {until:%Y-%m-%d %H:%M} UTC: {RETENTION} is {duration_text(retention_ms)}, and Kafka deletes whole segments"
    )
