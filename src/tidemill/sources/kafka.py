"""Kafka as a source: a topic, each of its records copied once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Literal

from tidemill.errors import ProjectError
from tidemill.events import Copied, Stream
from tidemill.sources.avro import Avro
from tidemill.sources.kafka_security import KafkaSecurity

if TYPE_CHECKING:
    from tidemill.sources.kafka_reader import KafkaReader


@dataclass(frozen=True)
class Kafka:
    """Every record of a topic, in the order of each partition; records of transactions that were aborted, or are open, are not seen.

    The log keeps the next offset of each partition together with the events, so a copy that is killed repeats nothing and skips nothing.
    One copier reads all partitions; it joins no consumer group, and finds partitions that are added later within seconds. A record without
    a value (a tombstone) is no event, and skipped. What cannot be decoded is kept among the dead letters, with the reason.

    Args:
        topic: its name. It must exist.
        bootstrap: brokers to begin with, `HOST:PORT`, one, several with commas between, or a list.
        group: the consumer group whose committed offsets follow what lies in the log, for people and their tools; they are never read. None
            for none.
        begin: where to begin when nothing was copied yet; `latest` is only what comes from now on.
        on_gap: what to do when Kafka no longer holds what comes next, since it was deleted before it could be copied or the topic was made
            anew: `fail` says so and waits for somebody to decide; `earliest` goes on with the earliest that is there.
        value: how values are written: `json`, with or without the prefix of a schema registry, or `Avro(...)`.
        key_field: put the record's key, as text, into the event under this name, unless the event has such a field itself.
        header_fields: by name of a header, the name to put it into the event under, as text.
        security: TLS and a login.
        connect_s: how long to try to connect, before it is said that it fails and tried again later, seconds.

    Raises:
        ProjectError: a name is empty, or an option is none of those above.

    >>> Kafka("departures").description
    'kafka topic departures at 127.0.0.1:9092'
    """

    topic: str
    bootstrap: str | Sequence[str] = field(default="127.0.0.1:9092", hash=False)
    _: KW_ONLY
    group: str | None = "tidemill"
    begin: Literal["earliest", "latest"] = "earliest"
    on_gap: Literal["fail", "earliest"] = "fail"
    value: Literal["json"] | Avro = "json"
    key_field: str | None = None
    header_fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    security: KafkaSecurity | None = None
    connect_s: float = 5.0

    def __post_init__(self) -> None:
        """Check the declaration."""
        for name, allowed in (("begin", ("earliest", "latest")), ("on_gap", ("fail", "earliest"))):
            if getattr(self, name) not in allowed:
                fix = f"write {' or '.join(map(repr, allowed))}"
                raise ProjectError(f"{name}={getattr(self, name)!r} is not known", where=self.description, fix=fix)
        if self.value != "json" and not isinstance(self.value, Avro):
            raise ProjectError(f"value={self.value!r} is not known", where=self.description, fix="write 'json' or Avro(...)")
        if not self.topic or not self.brokers:
            raise ProjectError("a topic and a broker must be named", where="Kafka", fix="write e.g. Kafka('orders', '127.0.0.1:9092')")

    @property
    def brokers(self) -> list[str]:
        """Those to begin with."""
        named = self.bootstrap.split(",") if isinstance(self.bootstrap, str) else self.bootstrap
        return [broker.strip() for broker in named if broker.strip()]

    @property
    def description(self) -> str:
        """What and where."""
        return f"kafka topic {self.topic} at {','.join(self.brokers)}"

    def open(self, stream: Stream, copied: Copied) -> KafkaReader:
        """See `Source`."""
        from tidemill.sources.kafka_reader import KafkaReader  # the client takes a quarter of a second to import

        return KafkaReader(self, stream.name, copied)
