"""Which Kafka topic is the log of which stream, and what its records say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tidemill.errors import InputError
from tidemill.events import Source, Stream
from tidemill.sources import Kafka
from tidemill.sources.avro import AvroDecoder
from tidemill.sources.kafka_values import Payloads, json_text

KNOWN_AT_HEADER, TRACE_HEADER = "known_at", "traceparent"
_CREATE_TIME = 0


@dataclass(frozen=True)
class StreamTopic:
    """The topic that is the log of a stream.

    Args:
        stream: which.
        name: of the topic.
        texts: makes the events' texts of records that have values, in order.
        is_json: whether its values are JSON, as we write them.
    """

    stream: Stream
    name: str
    texts: Callable[[Sequence[Any]], list[str]]
    is_json: bool

    @classmethod
    def of(cls, stream: Stream, brokers: Sequence[str]) -> StreamTopic:
        """The topic of a stream: that of its source, where that lies on the same cluster, else one of the stream's own name."""
        source = stream.source
        if not isinstance(source, Kafka) or not is_log(source, brokers):
            return cls(stream, stream.name, Payloads(json_text, None, {}).of, is_json=True)
        decode = json_text if source.value == "json" else AvroDecoder(source.value).text
        return cls(stream, source.topic, Payloads(decode, source.key_field, source.header_fields).of, is_json=source.value == "json")

    def key(self, payload: str) -> bytes | None:
        """An event's id: all events of one id lie in one partition, where their order is sure. None for what has none."""
        try:
            told = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return None
        event_id = told.get(self.stream.event_id) if isinstance(told, dict) else None
        return event_id.encode() if isinstance(event_id, str) and event_id else None

    def check_writable(self) -> None:
        """Refuse to append where values are of a kind that we do not write.

        Raises:
            InputError: they are in Avro.
        """
        if not self.is_json:
            raise InputError(f"the topic {self.name} holds Avro; send events there", where=f"stream {self.stream.name!r}")


def is_log(source: Source, brokers: Sequence[str]) -> bool:
    """Whether a source is a topic of this cluster, and so the log of its stream."""
    return isinstance(source, Kafka) and not set(source.brokers).isdisjoint(brokers)


def checkpoints_topic(project: str) -> str:
    """The compacted topic of a project's checkpoints, and of what else is to be known of its log."""
    return f"tidemill.sources.{project}"


def topics_of(streams: Sequence[Stream], brokers: Sequence[str]) -> Mapping[str, StreamTopic]:
    """By stream, its topic."""
    return {stream.name: StreamTopic.of(stream, brokers) for stream in streams}


def stamp_ms(record: Any) -> int:
    """When a record became known: the broker's stamp, or what a replay has written in its place, ms."""
    if record.timestamp_type == _CREATE_TIME:
        for name, value in record.headers:
            if name == KNOWN_AT_HEADER:
                return int(value)
    return int(record.timestamp)


def traces_of(records: Sequence[Any]) -> dict[int, str]:
    """Of those records that say by which trace they were brought, it, by the offset behind each."""
    return {
        record.offset + 1: value.decode("latin-1")
        for record in records
        for name, value in record.headers
        if name == TRACE_HEADER and value is not None
    }
