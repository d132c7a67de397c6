"""Appending to the topics of a log: plainly, or in one transaction with the checkpoint of a source."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFencedError

from tidemill.errors import ConflictError, InputError
from tidemill.sources.kafka_client import end_producer, opened, unanswered

_PATIENCE_MS = 30_000
_CLOSE_S = 1.0  # everything was flushed, or has failed and was told so; a cluster that is gone need not be waited for
_MAX_BYTES = 16_000_000
_ABANDONED_MS = 10_000  # after which the cluster gives up the transaction of a process that has died; until then nobody reads on
_PRODUCER = {
    "acks": "all",
    "enable_idempotence": True,  # what is sent again is kept once, in order
    "delivery_timeout_ms": _PATIENCE_MS,
    "request_timeout_ms": 10_000,
    "max_block_ms": _PATIENCE_MS,
    "batch_size": 131_072,
    "max_request_size": _MAX_BYTES,
    "metrics_enabled": False,
}


class Message(NamedTuple):
    """What is to be written where."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


class KafkaWriter:
    """A producer for everybody in a process, and one with a transaction for each source that is copied.

    Args:
        where: what is connected to, for messages.
        config: of the client: brokers, security, how long to try to connect.
        name: of the project; transactions of other projects are others.
    """

    def __init__(self, where: str, config: Mapping[str, object], name: str) -> None:
        self._where = where
        self._config = {**config, **_PRODUCER}
        self._name = name
        self._lock = threading.Lock()
        self._plain: Any = None
        self._copying = dict[str, Any]()

    def write(self, messages: Sequence[Message]) -> dict[TopicPartition, int]:
        """Write messages, each of them durable on return. They are no transaction: when it fails, some of them may be there.

        Answers the offsets behind them.

        Raises:
            InputError: one is too large; others may be there.
            NotReadyError: the cluster does not take them.
        """
        with self._lock:
            if self._plain is None:
                self._plain = opened(KafkaProducer, self._where, {**self._config, "client_id": "tidemill-log-writer"})
            producer = self._plain
        try:
            return _send(producer, messages)
        except MessageSizeTooLargeError as error:
            raise InputError(f"{self._where}: an event is larger than its topic takes: {error}") from error
        except KafkaError as error:
            self._replace(producer)
            raise unanswered(f"{self._where}: not all events were taken, send them again: {error!r}", error) from error

    def is_copying(self, stream: str) -> bool:
        """Whether the transactions of a stream's source are ours, unless somebody has taken them over since."""
        return stream in self._copying

    def take_over(self, stream: str) -> None:
        """Make the transactions of a stream's source ours: another process's that is open is aborted, and it can commit no more.

        Raises:
            NotReadyError: the cluster does not answer.
        """
        config = {
            **self._config,
            "client_id": f"tidemill-copy-{stream}",
            "transactional_id": f"tidemill.{self._name}.{stream}",
            "transaction_timeout_ms": _ABANDONED_MS,
        }
        producer = opened(KafkaProducer, self._where, config)
        try:
            producer.init_transactions()
        except KafkaError as error:
            end_producer(producer, _CLOSE_S)
            raise unanswered(f"{self._where}: {error!r}", error) from error
        self._copying[stream] = producer

    def write_together(self, stream: str, messages: Iterable[Message]) -> dict[TopicPartition, int]:
        """Write messages of a stream's source, all or nothing; answers the offsets behind them. They may be read a moment later.

        Raises:
            ConflictError: another process has taken its transactions over; nothing was written.
            NotReadyError: the cluster has not said that it has taken them; what is there says whether it has.
        """
        producer = self._copying[stream]
        try:
            producer.begin_transaction()
            behind = _send(producer, messages)
            producer.commit_transaction()
            return behind
        except BaseException as error:
            self.leave(stream)  # the next one to take over aborts what is open
            if isinstance(error, ProducerFencedError):
                raise ConflictError(f"another process copies the source of {stream!r}; it has moved on meanwhile") from error
            if isinstance(error, KafkaError):
                raise unanswered(f"{self._where}: {error!r}", error) from error
            raise

    def leave(self, stream: str) -> None:
        """Let go of the transactions of a stream's source."""
        producer = self._copying.pop(stream, None)
        if producer is not None:
            end_producer(producer, _CLOSE_S)

    def _replace(self, failed: Any) -> None:
        """Let the next write begin with a producer of its own: one whose broker was killed may never send again."""
        with self._lock:
            if self._plain is not failed:
                return  # by another thread
            self._plain = None
        end_producer(failed, _CLOSE_S)

    def close(self) -> None:
        """Let go of the connections."""
        for stream in list(self._copying):
            self.leave(stream)
        with self._lock:
            plain, self._plain = self._plain, None
        if plain is not None:
            end_producer(plain, _CLOSE_S)


def _send(producer: Any, messages: Iterable[Message]) -> dict[TopicPartition, int]:
    """Send messages and wait for all of them; answers the offsets behind them."""
    sent = [producer.send(one.topic, value=one.value, key=one.key, headers=one.headers) for one in messages]
    producer.flush(timeout=_PATIENCE_MS / 1_000)
    told = [one.get(_PATIENCE_MS / 1_000) for one in sent]
    behind: dict[TopicPartition, int] = {}
    for one in told:
        place = TopicPartition(one.topic, one.partition)
        behind[place] = max(behind.get(place, 0), one.offset + 1)
    return behind
