"""An engine's share of a log in Kafka: it joins the consumer group, and reads the partitions that the group gives it.

The group says only whose a partition is. Where it is read on lies with the tiles, so that an engine which still reads what is another's by
now cannot commit it: the commit moves each partition on by compare-and-set.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import KafkaError, RetriableError
from kafka.structs import OffsetAndMetadata

from tidemill.errors import ConflictError
from tidemill.sources.kafka_client import opened, unanswered
from tidemill.stores.kafka_cluster import KafkaCluster
from tidemill.stores.kafka_cursor import KafkaCursor
from tidemill.stores.kafka_topics import StreamTopic
from tidemill.streams import Position, Records

logger = logging.getLogger(__name__)

_FOLLOW_EVERY_S = 2.0
_WAIT_MS = 1_000  # while the group has given us nothing; the client forgets an answer that comes between two polls, and joins again
_HUNG_MS = 60_000  # an engine that takes nothing for so long hangs, though it may still beat
_CONSUMER = {
    "enable_auto_commit": False,
    "metrics_enabled": False,
    "metadata_max_age_ms": 10_000,  # partitions that are added find an engine
    "max_poll_interval_ms": _HUNG_MS,
    "partition_assignment_strategy": (RoundRobinPartitionAssignor,),  # topics of one partition are spread as well
    "client_id": "tidemill-engine",
}


class KafkaShare:
    """The part of a log that one engine of a group reads; to be used by one thread.

    Args:
        cluster: where the topics are.
        topics: by stream.
        group: the engines' group.
        session_s: how long an engine may be silent until others take over what it had.
        on_gap: told where Kafka no longer holds what comes next; it may raise.
    """

    def __init__(
        self, cluster: KafkaCluster, topics: Mapping[str, StreamTopic], group: str, session_s: float, on_gap: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._topics = topics
        self._group = group
        session_ms = round(session_s * 1_000)
        self._times = {"session_timeout_ms": session_ms, "heartbeat_interval_ms": session_ms // 4}
        self._on_gap = on_gap
        self._member: Any = None
        self._given = _Given(None)
        self._read: frozenset[TopicPartition] | None = None  # whose cursor it is; None before the first
        self._cursor: KafkaCursor | None = None
        self._followed_s = 0.0

    def read(self, after: Position, limit: int) -> tuple[Records, Position]:
        """Read on in what is ours; see `Log.read`.

        Raises:
            ConflictError: that is something else than it was, and where others have stopped must be read first.
            NotReadyError: the cluster does not answer.
        """
        given = self._take_part()
        if given != self._read:
            self._begin(given)
        if not given:
            return Records.of([]), after
        if self._cursor is None:
            self._cursor = KafkaCursor(self._cluster, self._topics, given, self._on_gap)
        try:
            if not self._cursor.stands_at(after):
                self._cursor.begin(after)
            records, end = self._cursor.take(limit, None)
        except BaseException:
            self._drop_cursor()
            raise
        return records, end if len(records) else after

    def follow(self, position: Position) -> None:
        """Let the group's committed offsets follow in what is ours, every few seconds; a member alone may set them."""
        if self._member is None or time.monotonic() - self._followed_s < _FOLLOW_EVERY_S:
            return
        self._followed_s = time.monotonic()
        streams = {topic.name: name for name, topic in self._topics.items()}
        offsets = {one: position.offset(streams[one.topic], str(one.partition)) for one in self._given.partitions}
        self._member.commit_async({one: OffsetAndMetadata(offset, "", -1) for one, offset in offsets.items()}, self._say_what_failed)

    def close(self) -> None:
        """Leave the group, so that others need not wait."""
        self._drop_cursor()
        self._leave()

    def _take_part(self) -> frozenset[TopicPartition]:
        """Do what the group asks of its members; answers what is ours.

        Raises:
            NotReadyError: the cluster does not answer.
        """
        try:
            if self._member is None:
                self._join()
            if self._given.partitions:
                self._member.poll(0)
            if not self._given.partitions:
                self._member.poll(_WAIT_MS)
        except KafkaError as error:
            if not isinstance(error, RetriableError):
                self._leave()
            raise unanswered(f"{self._cluster.where}: group {self._group}: {error!r}", error) from error
        return self._given.partitions

    def _join(self) -> None:
        config = {**self._cluster.config, **_CONSUMER, **self._times, "group_id": self._group}
        self._member = opened(KafkaConsumer, self._cluster.where, config)
        self._given = _Given(self._member)
        self._member.subscribe([topic.name for topic in self._topics.values()], listener=self._given)

    def _leave(self) -> None:
        member, self._member = self._member, None
        self._given.partitions = frozenset()
        if member is not None:
            member.close(autocommit=False, timeout_ms=2_000)

    def _begin(self, given: frozenset[TopicPartition]) -> None:
        """Read something else from now on.

        Raises:
            ConflictError: so the position at hand may be old.
        """
        self._drop_cursor()
        self._read = given
        told = ", ".join(sorted(f"{one.topic} {one.partition}" for one in given))
        logger.info("this engine's share of the log has changed group=%s partitions=%s", self._group, told or "none")
        if given:
            raise ConflictError(f"this engine reads other partitions than before: {told}. Read the position again, then go on from there")

    def _drop_cursor(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.close()

    def _say_what_failed(self, _offsets: object, answer: object) -> None:
        if isinstance(answer, Exception):
            logger.warning("offsets of the group do not follow group=%s error=%r", self._group, answer)


class _Given(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python is untyped
    """What the group has given us; set by the client's own thread."""

    def __init__(self, member: Any) -> None:
        self._member = member
        self.partitions: frozenset[TopicPartition] = frozenset()

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Some are no longer ours."""
        self.partitions = self.partitions.difference(revoked)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """These are ours. The member itself fetches nothing of them; a cursor does."""
        self._member.pause(*assigned)
        self.partitions = frozenset(assigned)
