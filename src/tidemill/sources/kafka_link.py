"""The connections to one Kafka topic: a consumer without a group, and beside it a client for what a consumer cannot ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kafka import IsolationLevel, KafkaAdminClient, KafkaConsumer, OffsetSpec, TopicPartition
from kafka.errors import KafkaError, LogTruncationError, NoError, OffsetOutOfRangeError, UnknownTopicOrPartitionError, for_code
from kafka.structs import OffsetAndMetadata

from tidemill.errors import NotReadyError
from tidemill.sources.kafka_client import opened

_ANSWER_MS = 5_000  # the longest a broker may be silent
_QUICK_MS = 1_000
_NO_ID = str(UUID(int=0))
_CONSUMER = {
    "group_id": None,  # all partitions are ours, and our offsets lie in the log
    "enable_auto_commit": False,
    "isolation_level": "read_committed",
    "auto_offset_reset": "none",  # never skip or repeat on its own
    "metrics_enabled": False,
}


@dataclass(frozen=True)
class Topic:
    """What a topic is now.

    Args:
        topic_id: what the cluster knows it by; empty before Kafka 2.8.
        partitions: all of them.
        leaderless: those that nobody serves at the moment.
    """

    topic_id: str
    partitions: frozenset[int]
    leaderless: frozenset[int]


class MissingOffsetsError(Exception):
    """Partitions do not hold the offset that is to be read next."""

    def __init__(self, partitions: Iterable[int]) -> None:
        self.partitions = sorted(partitions)
        super().__init__(f"partitions {self.partitions} do not hold what comes next")


@contextmanager
def _missing_offsets() -> Iterator[None]:
    try:
        yield
    except OffsetOutOfRangeError as error:
        raise MissingOffsetsError(named.partition for named in error.args[0]) from error
    except LogTruncationError as error:
        raise MissingOffsetsError(named.partition for named in error.divergent_offsets) from error


class TopicLink:
    """Connected to a topic until it is closed.

    Args:
        topic: its name.
        where: what is connected to, for messages.
        config: of the client: brokers, security, how long to try to connect.

    Raises:
        NotReadyError: no broker lets us in.
    """

    def __init__(self, topic: str, where: str, config: Mapping[str, object]) -> None:
        self._topic = topic
        self._where = where
        self._config = {**config, "client_id": f"tidemill-{topic}", "request_timeout_ms": _ANSWER_MS}
        self._admin: Any = None
        self._consumer = opened(KafkaConsumer, where, {**self._config, **_CONSUMER})

    def look(self) -> Topic:
        """What the topic is now.

        Raises:
            NotReadyError: there is none.
            kafka.errors.KafkaError: no answer, or we may not read it.
        """
        (found,) = self._asking().describe_topics([self._topic])
        error = for_code(found["error_code"])
        if error is UnknownTopicOrPartitionError:
            raise NotReadyError(f"{self._where}: there is no such topic; make it, or correct the name")
        if error is not NoError:
            raise error(f"{self._where}: it cannot be looked at")
        topic_id = str(found.get("topic_id") or _NO_ID)
        leaders = {one["partition_index"]: one["leader_id"] for one in found["partitions"]}
        leaderless = frozenset(partition for partition, leader in leaders.items() if leader < 0)
        return Topic("" if topic_id == _NO_ID else topic_id, frozenset(leaders), leaderless)

    def earliest(self, partitions: Iterable[int]) -> dict[int, int]:
        """By partition, the earliest offset that it holds."""
        return self._offsets(partitions, OffsetSpec.EARLIEST)

    def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """By partition, the offset before which everything may be read now."""
        return self._offsets(partitions, OffsetSpec.LATEST)

    def read_from(self, offsets: Mapping[int, int]) -> None:
        """Read these partitions from here on; others that are read go on undisturbed."""
        named = self._named(offsets)
        self._consumer.assign([*self._consumer.assignment().union(named)])
        for one in named:
            self._consumer.seek(one, offsets[one.partition])

    def poll(self, limit: int, timeout_ms: int) -> dict[int, Sequence[Any]]:
        """By partition, its next records, as soon as there are some.

        Raises:
            MissingOffsetsError: partitions do not hold what comes next.
        """
        with _missing_offsets():
            return {named.partition: records for named, records in self._consumer.poll(timeout_ms, limit).items()}

    def offset(self, partition: int) -> int | None:
        """The next offset of a partition, past what holds no event.

        Raises:
            MissingOffsetsError: partitions do not hold what comes next.
        """
        with _missing_offsets():
            found: int | None = self._consumer.position(TopicPartition(self._topic, partition), timeout_ms=0)
        return found

    def commit(self, group: str, offsets: Mapping[int, int]) -> None:
        """Set a group's committed offsets.

        Raises:
            kafka.errors.KafkaError: it has members of its own, we may not, or no answer.
        """
        named = {TopicPartition(self._topic, partition): OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()}
        try:
            for error in self._asking().alter_group_offsets(group, named).values():
                if error is not NoError:
                    raise error(f"offsets of the group {group}")
        except KafkaError:
            self._hang_up()  # it goes on asking the broker that was the group's coordinator when it first asked
            raise

    def close(self) -> None:
        """Let go of the connections."""
        self._hang_up()
        self._consumer.close(autocommit=False, timeout_ms=_QUICK_MS)

    def _asking(self) -> Any:
        if self._admin is None:
            self._admin = opened(KafkaAdminClient, self._where, self._config)
        return self._admin

    def _hang_up(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()

    def _named(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition) for partition in partitions]

    def _offsets(self, partitions: Iterable[int], which: OffsetSpec) -> dict[int, int]:
        asked = dict.fromkeys(self._named(partitions), which)
        found = self._asking().list_partition_offsets(asked, IsolationLevel.READ_COMMITTED, timeout_ms=_ANSWER_MS)
        return {named.partition: answer.offset for named, answer in found.items()}
