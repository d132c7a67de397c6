"""The Apache Kafka broker that all tests of one session share: started when first asked for, ended with the session.

| listener | who may come in |
|---|---|
| plain | everybody |
| SASL_PLAINTEXT | `USER` with `PASSWORD`, by PLAIN |
| SASL_SSL | the same by SCRAM-SHA-512, through TLS with a certificate that was made for this session |
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import RetriableError

from benchmarks.kafka import free_ports, running_broker, set_up
from benchmarks.kafka_setup import Listener, Setup
from tidemill.serving import Copier

USER, PASSWORD = "ada", "s3cret-of-ada"
_ENDING = ExitStack()


class KafkaServer:
    """A broker that can be stopped and started again, with its data and at its addresses."""

    def __init__(self, folder: Path) -> None:
        self._sasl_port, self._tls_port = free_ports(2)
        self.certificate = _certificate(folder)
        listeners = [Listener("LOGIN", "SASL_PLAINTEXT", self._sasl_port), Listener("TLS", "SASL_SSL", self._tls_port)]
        jaas = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        settings = {
            "listener.name.login.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.login.plain.sasl.jaas.config": jaas,
            "listener.name.tls.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.tls.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "listener.name.tls.ssl.keystore.type": "PEM",
            "listener.name.tls.ssl.keystore.location": str(folder / "keystore.pem"),
            # what is compacted or deleted is, at once
            "log.cleaner.backoff.ms": "100",
        }
        scram = [f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"]
        self._home = set_up(folder, Setup("320m", listeners=listeners, settings=settings, scram=scram))
        self._running = ExitStack()
        self.start()

    def start(self) -> None:
        """Start it; it answers on return."""
        broker = self._running.enter_context(running_broker(self._home))
        self.bootstrap, self._pid = broker.bootstrap, broker.pid

    def stop(self) -> None:
        """Stop it; it has ended on return."""
        self.forget()
        self._running.close()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Have it accept and answer nothing while the block runs."""
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGCONT)

    @property
    def sasl_bootstrap(self) -> str:
        """Where one comes in with a password."""
        return f"127.0.0.1:{self._sasl_port}"

    @property
    def tls_bootstrap(self) -> str:
        """Where one comes in with a password, through TLS."""
        return f"127.0.0.1:{self._tls_port}"

    @property
    def admin(self) -> Any:
        """A client that may do everything."""
        return _admin(self.bootstrap)

    def new_topic(self, partitions: int = 1, configs: Mapping[str, str] | None = None) -> str:
        """The name of a new topic."""
        name = f"taps-{uuid.uuid4().hex[:8]}"
        self.admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1, "configs": dict(configs or {})}})
        self.admin.wait_for_topics([name])
        return name

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Let a topic have so many in all."""
        self.admin.create_partitions({topic: partitions})
        self.forget()

    def forget(self) -> None:
        """Let new clients find out what the topics are like now."""
        for client in (_producer, _admin):
            if client.cache_info().currsize:
                client(self.bootstrap).close()
                client.cache_clear()

    def send(self, topic: str, values: Iterable[bytes | None], **beside: Any) -> None:
        """Send values, one partition after another unless `partition` is named; they are kept on return."""
        producer = _producer(self.bootstrap)
        sent = [producer.send(topic, value=value, **beside) for value in values]
        producer.flush()
        for one in sent:
            one.get(120)


class PatientCopier(Copier):
    """A copier that bears a broker which is late with its answer and asks again, as `Copier.run` does."""

    def step(self) -> int:
        """See `Copier`."""
        with suppress(RetriableError):
            return super().step()
        return 0


@cache
def kafka_server() -> KafkaServer:
    """The broker of this session."""
    folder = tempfile.TemporaryDirectory(prefix="tidemill-tests-kafka-", ignore_cleanup_errors=True)
    server = KafkaServer(Path(_ENDING.enter_context(folder)))
    _ENDING.callback(server.stop)
    return server


def end_kafka() -> None:
    """End the broker and its clients, while there is still somebody to whom their threads may log."""
    _ENDING.close()


@cache
def _producer(bootstrap: str) -> Any:
    return KafkaProducer(bootstrap_servers=bootstrap)


@cache
def _admin(bootstrap: str) -> Any:
    return KafkaAdminClient(bootstrap_servers=bootstrap)


def _certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that signs itself, and a keystore with its key; answer the certificate's file."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    make += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(make, check=True, capture_output=True)
    (folder / "keystore.pem").write_text(key.read_text() + certificate.read_text())
    return certificate
