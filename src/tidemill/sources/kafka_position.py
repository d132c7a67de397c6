"""How far a Kafka topic has been read, and what it means when the topic no longer holds what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import orjson


@dataclass(frozen=True)
class TopicPosition:
    """The next offset to read in each partition of a topic.

    Args:
        topic: its name.
        topic_id: what the cluster knows it by; another one when the topic was deleted and made anew. Empty before Kafka 2.8.
        offsets: by partition.

    >>> held = TopicPosition("taps", "q3", {0: 7, 1: 0})
    >>> held.text
    '{"topic":"taps","id":"q3","offsets":{"0":7,"1":0}}'
    >>> TopicPosition.of("taps", held.text) == held
    True
    """

    topic: str
    topic_id: str
    offsets: Mapping[int, int]

    @property
    def text(self) -> str:
        """As a checkpoint."""
        held = {"topic": self.topic, "id": self.topic_id, "offsets": self.offsets}
        return orjson.dumps(held, option=orjson.OPT_NON_STR_KEYS).decode()

    @staticmethod
    def of(topic: str, checkpoint: str) -> TopicPosition | None:
        """What a checkpoint says of a topic; None when nothing was copied yet, or only from another topic or another kind of source."""
        with suppress(ValueError, TypeError, KeyError):  # what another kind of source has written
            held = orjson.loads(checkpoint)
            if held["topic"] == topic:
                return TopicPosition(topic, held["id"], {int(partition): int(offset) for partition, offset in held["offsets"].items()})
        return None

    def lag(self, ends: Mapping[int, int]) -> int | None:
        """How many offsets lie before the ends of the partitions; some may hold no event (marks of transactions, compaction).

        None when no end is known.

        >>> TopicPosition("taps", "", {0: 7, 1: 5}).lag({0: 10, 1: 4})
        3
        """
        if not ends:
            return None
        return sum(max(0, end - self.offsets.get(partition, 0)) for partition, end in ends.items())


def other_topic(held: TopicPosition, topic_id: str, partitions: frozenset[int]) -> str | None:
    """Why a topic is not the one that was read, though it has its name; None when it is.

    >>> other_topic(TopicPosition("taps", "q3", {0: 7}), "q3", frozenset({0, 1})) is None
    True
    >>> other_topic(TopicPosition("taps", "q3", {0: 7}), "k8", frozenset({0}))
    'it was deleted and made anew (its id was q3 and is k8)'
    """
    if held.topic_id and topic_id:
        # with the same id, a partition that is not there is one that the broker we asked has not heard of yet: none is ever taken away
        same = held.topic_id == topic_id
        return None if same else f"it was deleted and made anew (its id was {held.topic_id} and is {topic_id})"
    gone = sorted(held.offsets.keys() - partitions)
    return f"it was deleted and made anew (partition {gone[0]} is gone)" if gone else None


def gap(partition: int, offset: int, earliest: int) -> str:
    """What has happened where the next offset of a partition is none that it holds.

    >>> gap(3, 40, 120)
    'partition 3 begins at offset 120 now and was read up to 40, so what lay between was deleted before it could be copied'
    >>> gap(3, 40, 0)
    'partition 3 was read up to offset 40, and it was cut off before that'
    """
    if offset < earliest:
        what = "so what lay between was deleted before it could be copied"
        return f"partition {partition} begins at offset {earliest} now and was read up to {offset}, {what}"
    return f"partition {partition} was read up to offset {offset}, and it was cut off before that"
