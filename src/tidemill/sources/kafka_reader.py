"""Reading one Kafka topic: all its partitions, from where the log says to where it will say."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from kafka.errors import KafkaError

from tidemill.errors import NotReadyError
from tidemill.events import Arrived, Copied
from tidemill.sources.avro import AvroDecoder
from tidemill.sources.kafka_link import MissingOffsetsError, Topic, TopicLink
from tidemill.sources.kafka_position import TopicPosition, gap, other_topic
from tidemill.sources.kafka_security import keep_secrets_out_of_logs
from tidemill.sources.kafka_values import Payloads, json_text

if TYPE_CHECKING:
    from tidemill.sources.kafka import Kafka

logger = logging.getLogger(__name__)

_WAIT_MS = 500
_LOOK_EVERY_S = 2.0
_PASSED_AT_ONCE = 32  # asking the client for one offset takes longer the more partitions there are


class KafkaReader:
    """A topic that is being read. Connects at once.

    Args:
        source: the declaration.
        stream: for messages.
        copied: how far the log has it.

    Raises:
        SettingsError: the environment lacks what `source.security` names.
        NotReadyError: no broker lets us in, there is no such topic, or it was made anew and nobody has decided what to do.
        kafka.errors.KafkaError: a broker does not answer any more, or we may not read the topic.
    """

    def __init__(self, source: Kafka, stream: str, copied: Copied) -> None:
        self._source, self._stream = source, stream
        decode = json_text if source.value == "json" else AvroDecoder(source.value).text
        self._payloads = Payloads(decode, source.key_field, source.header_fields)
        security = {} if source.security is None else source.security.config()
        if source.security is not None:
            keep_secrets_out_of_logs()
        config = {"bootstrap_servers": source.brokers, "bootstrap_timeout_ms": source.connect_s * 1_000, **security}
        self._link = TopicLink(source.topic, source.description, config)
        self._look_s = 0.0
        self._ends = dict[int, int]()
        self._in_log = self._given = TopicPosition.of(source.topic, copied.checkpoint)
        self._group = source.group
        self._committed: TopicPosition | None = None
        try:
            self._topic_id, self._next = self._begin(self._in_log)
            self._link.read_from(self._next)
        except BaseException:
            self._link.close()
            raise
        self._turns = deque(self._next)

    def read(self, limit: int) -> Arrived | None:
        """See `Reader`."""
        self._in_log = self._given  # or we would not be asked for more
        try:
            if time.monotonic() >= self._look_s:
                self._look()
            found = self._link.poll(limit, _WAIT_MS)
            self._next |= {partition: records[-1].offset + 1 for partition, records in found.items()}
            if not found:
                self._pass_marks()
        except MissingOffsetsError as error:
            self._close_gaps(error.partitions)
            return None
        position = self._position()
        if position == self._given:
            return None
        self._given = position
        return Arrived(self._payloads.of(chain.from_iterable(found.values())), position.text, lag=position.lag(self._ends))

    def close(self) -> None:
        """See `Reader`."""
        self._link.close()

    def _begin(self, held: TopicPosition | None) -> tuple[str, dict[int, int]]:
        """The topic's id, and where to go on in each of its partitions."""
        topic = self._link.look()
        if held is None:
            begin = self._link.earliest if self._source.begin == "earliest" else self._link.ends
            return topic.topic_id, begin(self._served(topic))
        other = other_topic(held, topic.topic_id, topic.partitions)
        if other is None:
            return topic.topic_id, _from_the_first(topic.partitions) | dict(held.offsets)
        self._decide(other)
        return topic.topic_id, self._link.earliest(self._served(topic))

    def _served(self, topic: Topic) -> frozenset[int]:
        """All partitions, to be asked where they begin.

        Raises:
            NotReadyError: nobody could answer for one of them.
        """
        if topic.leaderless:
            raise NotReadyError(f"{self._source.description}: nobody serves the partitions {sorted(topic.leaderless)} at the moment")
        return topic.partitions

    def _look(self) -> None:
        """What need not be known with every read: new partitions, how far we are behind, offsets for people."""
        self._look_s = time.monotonic() + _LOOK_EVERY_S
        if self._group is not None and self._in_log is not None and self._in_log != self._committed:
            self._commit(self._group, self._in_log)
        topic = self._same_topic()
        if added := topic.partitions - self._next.keys():
            self._next |= _from_the_first(added)
            self._link.read_from(_from_the_first(added))
            self._turns.extend(added)
        self._pass_marks()
        if topic.leaderless:
            what = "nobody serves some partitions source=%s partitions=%s"
            logger.warning(what, self._source.description, sorted(topic.leaderless))
        try:
            self._ends = self._link.ends(topic.partitions - topic.leaderless)
        except KafkaError as error:  # of one broker of several; the others' partitions are read on
            logger.warning("cannot tell how far it is behind source=%s error=%s", self._source.description, error)
            self._ends = {}

    def _pass_marks(self) -> None:
        """Go past what brings no record: the marks of transactions, what was aborted or compacted away."""
        for partition in list(self._turns)[:_PASSED_AT_ONCE]:
            self._next[partition] = self._link.offset(partition) or self._next[partition]
        self._turns.rotate(-_PASSED_AT_ONCE)

    def _same_topic(self) -> Topic:
        """What the topic is now.

        Raises:
            NotReadyError: another one has its name; opened anew, it is decided what to do.
        """
        topic = self._link.look()
        if other := other_topic(self._position(), topic.topic_id, topic.partitions):
            raise NotReadyError(f"{self._source.description}: {other}")
        return topic

    def _commit(self, group: str, position: TopicPosition) -> None:
        """Let the group's offsets follow; nobody but people depends on them."""
        try:
            self._link.commit(group, position.offsets)
            self._committed = position
        except KafkaError as error:
            if not error.retriable:
                logger.warning("offsets of the group do not follow source=%s group=%s error=%s", self._source.description, group, error)
                self._group = None

    def _close_gaps(self, partitions: Sequence[int]) -> None:
        """Go on where these partitions begin, which do not hold what comes next, if that has been decided."""
        self._same_topic()
        earliest = self._link.earliest(partitions)
        for partition in partitions:
            self._decide(gap(partition, self._next[partition], earliest[partition]))
        self._next |= earliest
        self._link.read_from(earliest)

    def _decide(self, trouble: str) -> None:
        """Whether to go on from the earliest there is.

        Raises:
            NotReadyError: nobody has said so.
        """
        if self._source.on_gap == "fail":
            fix = "to go on from the earliest it holds, write Kafka(..., on_gap='earliest')"
            raise NotReadyError(f"{self._source.description}: {trouble}; {fix}")
        logger.warning("events are missing stream=%s source=%s what=%s", self._stream, self._source.description, trouble)

    def _position(self) -> TopicPosition:
        return TopicPosition(self._source.topic, self._topic_id, dict(self._next))


def _from_the_first(added: Iterable[int]) -> dict[int, int]:
    """Partitions added since begin at their first record, or what was sent meanwhile would be lost."""
    return dict.fromkeys(sorted(added), 0)
