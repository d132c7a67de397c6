"""How far sources have been copied, in a compacted topic beside the events, read into memory.

| key | value |
|---|---|
| `["checkpoint", STREAM]` | the checkpoint |
| `["finished", STREAM, PART]` | nothing but that the part was read to its end |
| `["replay"]` | nothing but that the topics of the log are a replay's |
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import orjson
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from tidemill.errors import NotReadyError
from tidemill.events import Copied
from tidemill.sources.kafka_client import opened, unanswered
from tidemill.stores.kafka_cluster import KafkaCluster
from tidemill.stores.kafka_writer import Message
from tidemill.streams import Advance

_POLL_MS = 1_000
_TRIES = 30


class KafkaCheckpoints:
    """The checkpoints of one log's sources.

    Args:
        cluster: where they lie.
        topic: of one partition, compacted.
    """

    def __init__(self, cluster: KafkaCluster, topic: str) -> None:
        self._cluster = cluster
        self._topic = TopicPartition(topic, 0)
        self._consumer: Any = None
        self._lock = threading.Lock()
        self._checkpoints = dict[str, str]()
        self._finished = set[tuple[str, str]]()
        self._of_replay = False

    def copied(self, stream: str) -> Copied:
        """How far the source of a stream has been copied, by what is committed now.

        Raises:
            NotReadyError: the cluster does not answer.
        """
        with self._lock:
            try:
                self._read_on()
            except KafkaError as error:
                raise unanswered(f"{self._cluster.where}: {error!r}", error) from error
            return Copied(self._checkpoints.get(stream, ""), partial(self._is_finished, stream))

    def is_of_replay(self) -> bool:
        """Whether the topics of the log were made by a replay.

        Raises:
            NotReadyError: the cluster does not answer.
        """
        self.copied("")
        return self._of_replay

    def of_replay(self) -> Message:
        """What says that they are."""
        return self._message(["replay"], "")

    def messages(self, advance: Advance) -> Iterator[Message]:
        """What moves a source on, to be written in the transaction of its events."""
        yield self._message(["checkpoint", advance.stream], advance.after)
        for name in advance.finished:
            yield self._message(["finished", advance.stream, name], "")

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if self._consumer is not None:
                self._consumer.close(autocommit=False, timeout_ms=1_000)
                self._consumer = None

    def _read_on(self) -> None:
        if self._consumer is None:
            config = {"group_id": None, "enable_auto_commit": False, "isolation_level": "read_committed", "auto_offset_reset": "earliest"}
            self._consumer = opened(KafkaConsumer, self._cluster.where, {**self._cluster.config, **config, "client_id": "tidemill-sources"})
            self._consumer.assign([self._topic])
            self._consumer.seek_to_beginning(self._topic)
        end = self._cluster.ends([self._topic])[self._topic]
        for _ in range(_TRIES):
            if self._consumer.position(self._topic, timeout_ms=_POLL_MS) >= end:
                return
            for record in self._consumer.poll(_POLL_MS).get(self._topic, ()):
                self._learn(orjson.loads(record.key), record.value)
        raise NotReadyError(f"{self._cluster.where}: nothing comes of the topic {self._topic.topic}")

    def _learn(self, key: Sequence[str], value: bytes) -> None:
        if key[0] == "checkpoint":
            self._checkpoints[key[1]] = value.decode()
        elif key[0] == "replay":
            self._of_replay = True
        else:
            self._finished.add((key[1], key[2]))

    def _is_finished(self, stream: str, name: str) -> bool:
        return (stream, name) in self._finished

    def _message(self, key: Sequence[str], value: str) -> Message:
        return Message(self._topic.topic, orjson.dumps(key), value.encode(), [])
