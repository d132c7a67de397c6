"""A Kafka topic to publish to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

from tidemill.errors import ProjectError
from tidemill.sources import KafkaSecurity

if TYPE_CHECKING:
    from tidemill.targets.kafka_sender import KafkaSender


@dataclass(frozen=True)
class KafkaTopic:
    """Each message a record, acknowledged by every replica in sync, in the order of its key.

    Args:
        topic: its name. It must exist: how many partitions it has and how long it keeps records is yours to say.
        bootstrap: brokers to begin with, `HOST:PORT`, one, several with commas between, or a list.
        security: TLS and a login.
        connect_s: how long to try to connect, before it is said that it fails and tried again later, seconds.

    Raises:
        ProjectError: no topic or no broker is named.

    >>> KafkaTopic("flights.predictions", "a:9092, b:9092").description
    'kafka topic flights.predictions at a:9092,b:9092'
    """

    topic: str
    bootstrap: str | Sequence[str] = field(default="127.0.0.1:9092", hash=False)
    _: KW_ONLY
    security: KafkaSecurity | None = None
    connect_s: float = 5.0

    def __post_init__(self) -> None:
        """Check the declaration."""
        if not self.topic or not self.brokers:
            fix = "write e.g. KafkaTopic('flights.predictions', '127.0.0.1:9092')"
            raise ProjectError("a topic and a broker must be named", where="KafkaTopic", fix=fix)

    @property
    def brokers(self) -> list[str]:
        """Those to begin with."""
        named = self.bootstrap.split(",") if isinstance(self.bootstrap, str) else self.bootstrap
        return [broker.strip() for broker in named if broker.strip()]

    @property
    def description(self) -> str:
        """See `Target`."""
        return f"kafka topic {self.topic} at {','.join(self.brokers)}"

    def open(self) -> KafkaSender:
        """See `Target`."""
        from tidemill.targets.kafka_sender import KafkaSender  # the client takes a quarter of a second to import

        return KafkaSender(self)
