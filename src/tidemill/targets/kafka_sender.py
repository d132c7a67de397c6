"""Sending to one Kafka topic, so that a record is there once it is acknowledged and no retry of the client changes the order."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import (
    InvalidRecordError,
    MessageSizeTooLargeError,
    NoError,
    RecordListTooLargeError,
    UnknownError,
    UnknownTopicOrPartitionError,
    for_code,
)

from tidemill.errors import NotReadyError, RefusedError
from tidemill.sources.kafka_client import end_producer, opened
from tidemill.sources.kafka_security import keep_secrets_out_of_logs
from tidemill.targets.target import Message

if TYPE_CHECKING:
    from tidemill.targets.kafka_topic import KafkaTopic

logger = logging.getLogger(__name__)

_ANSWER_MS = 5_000  # the longest a broker may be silent
_DELIVERY_MS = 10_000  # after this a record counts as not sent
_FLUSH_S = 20.0  # by then each is acknowledged or counts as not sent
_AT_ONCE = 500_000  # bytes
_UNWANTED = (InvalidRecordError, MessageSizeTooLargeError, RecordListTooLargeError)
_PRODUCER = {
    "acks": "all",
    "enable_idempotence": True,
    # One batch of a partition at a time, made whole before it is sent: it arrives or it does not. Of several, the first may be given up
    # and the second arrive.
    "max_in_flight_requests_per_connection": 1,
    "batch_size": 2 * _AT_ONCE,
    "linger_ms": _ANSWER_MS,
    "request_timeout_ms": _ANSWER_MS,
    "delivery_timeout_ms": _DELIVERY_MS,
    "max_block_ms": _ANSWER_MS,
    "metrics_enabled": False,
}


class KafkaSender:
    """A topic that is sent to. Connects at once.

    Args:
        target: the declaration.

    Raises:
        SettingsError: the environment lacks what `target.security` names.
        NotReadyError: no broker lets us in, or there is no such topic.
        kafka.errors.KafkaError: we may not write to it.
    """

    def __init__(self, target: KafkaTopic) -> None:
        self._topic, self._where = target.topic, target.description
        security = {} if target.security is None else target.security.config()
        if target.security is not None:
            keep_secrets_out_of_logs()
        config = {"bootstrap_servers": target.brokers, "bootstrap_timeout_ms": target.connect_s * 1_000, **security}
        config["client_id"] = f"tidemill-to-{self._topic}"
        self._check_topic(config)
        self._producer: Any = opened(KafkaProducer, self._where, {**config, **_PRODUCER})

    def send(self, messages: Sequence[Message]) -> None:
        """See `Sender`."""
        try:
            for some in _at_once(messages):
                sent = [self._send(message) for message in some]
                with suppress(UnknownError):  # raised for a batch that was split, as it was too large as a whole
                    self._producer.flush(_FLUSH_S)
                for one in sent:
                    one.get(_FLUSH_S)
        except _UNWANTED as error:
            raise RefusedError(f"{self._where}: {error}") from error

    def close(self) -> None:
        """See `Sender`."""
        end_producer(self._producer, _FLUSH_S)

    def _check_topic(self, config: Mapping[str, object]) -> None:
        """Ask before anything is sent: the producer would wait for a topic that is not there, and then say that no answer came."""
        admin = opened(KafkaAdminClient, self._where, {**config, "request_timeout_ms": _ANSWER_MS})
        try:
            (found,) = admin.describe_topics([self._topic])
        finally:
            admin.close()
        error = for_code(found["error_code"])
        if error is UnknownTopicOrPartitionError:
            raise NotReadyError(f"{self._where}: there is no such topic; make it, or correct the name")
        if error is not NoError:
            raise error(f"{self._where}: it cannot be looked at")

    def _send(self, message: Message) -> Any:
        beside = {"id": message.id, "kind": message.kind, "project": message.project}
        headers = [(name, text.encode()) for name, text in beside.items()]
        return self._producer.send(self._topic, message.value, message.key.encode(), headers)


def _at_once(messages: Sequence[Message]) -> Iterator[list[Message]]:
    some, n_bytes = list[Message](), 0
    for message in messages:
        if some and n_bytes + len(message.value) > _AT_ONCE:
            yield some
            some, n_bytes = [], 0
        some.append(message)
        n_bytes += len(message.value)
    if some:
        yield some
