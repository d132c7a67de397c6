"""Opening a Kafka client so that a failure says why, and leaves nothing running, and that it makes no topic."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaError, KafkaTimeoutError

from tidemill.errors import NotReadyError, UnavailableError
from tidemill.sources.kafka_sockets import DIRECTLY

# the client says here why a broker did not let it in, and then raises only that none did
_SAYS_WHY = logging.getLogger("kafka.net.manager")
# An option of consumers and producers that they do not pass on: whoever looks for a topic that was just deleted would have it made anew.
_MAKES_TOPICS = "allow_auto_create_topics"


def opened(make: Callable[..., Any], where: str, config: Mapping[str, object]) -> Any:
    """A client of kafka-python that has no broker make a topic; when it cannot be made, its thread is ended, which it would leave running.

    Args:
        make: its class.
        where: what is connected to, for messages.
        config: with a `client_id` of its own.

    Raises:
        UnavailableError: no broker has let us in; with the reasons.
    """
    begun: list[Any] = []

    def connections(**settings: object) -> Any:
        made = KafkaConsumer.DEFAULT_CONFIG["kafka_client"](**{**settings, "proxy_url": DIRECTLY})
        made.cluster.config[_MAKES_TOPICS] = False
        begun.append(made)
        return made

    reasons = _Reasons(str(config["client_id"]))
    _SAYS_WHY.addHandler(reasons)
    try:
        return make(kafka_client=connections, **config)
    except BaseException as error:
        for one in begun:
            one.close()
        if isinstance(error, KafkaTimeoutError):
            # a broker that refuses a login hangs up, often before the client has read why
            hint = "; is the login right?" if "sasl_mechanism" in config else ""
            raise UnavailableError(f"{where}: no broker lets us in: {'; '.join(reasons.found) or error}{hint}") from error
        raise
    finally:
        _SAYS_WHY.removeHandler(reasons)


def end_producer(producer: Any, patience_s: float) -> None:
    """Close a producer, whatever has become of its broker; what is not acknowledged in so long counts as not sent.

    Where no answer comes kafka-python's own `close` gives up before it ends its thread, which goes on sending, and the producer says so by
    a traceback when it is collected. So that thread is ended first.
    """
    try:
        producer.close(timeout=patience_s)
    except KafkaError:
        producer._sender.force_close()
        producer._sender.join(patience_s)
        with suppress(KafkaError):
            producer.close(timeout=0)


def unanswered(what: str, error: KafkaError) -> NotReadyError:
    """What to raise from an error of the client's: of a cluster that may answer soon, or of one that does not want what it is told."""
    return (UnavailableError if error.retriable else NotReadyError)(what)


class _Reasons(logging.Handler):
    """What kept one client out, each reason once."""

    def __init__(self, client_id: str) -> None:
        super().__init__(logging.WARNING)
        self._thread = f"kafka-io-{client_id}"
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exceptions that it tells of."""
        told = record.args if record.threadName == self._thread and isinstance(record.args, tuple) else ()
        for error in told:
            if isinstance(error, Exception) and not isinstance(error, KafkaTimeoutError) and str(error) not in self.found:
                self.found.append(str(error))
