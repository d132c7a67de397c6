"""What is said of a Kafka cluster that does not answer."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress

import pytest

from tests.services import free_port
from tidemill.errors import UnavailableError
from tidemill.stores.kafka_cluster import KafkaCluster


def ask(cluster: KafkaCluster) -> None:
    """Ask it something, whatever it says."""
    with suppress(UnavailableError):
        cluster.there(["orders"])


def test_while_it_does_not_answer_one_asks_and_others_are_told_so_at_once() -> None:
    port = free_port()
    config = {"bootstrap_servers": [f"127.0.0.1:{port}"], "bootstrap_timeout_ms": 100}
    with closing(KafkaCluster("kafka at here", config)) as cluster:
        with pytest.raises(UnavailableError, match=r"kafka at here: no broker lets us in: .*ECONNREFUSED"):
            cluster.there(["orders"])

        cluster.config["bootstrap_timeout_ms"] = 10_000
        with socket.create_server(("127.0.0.1", port)) as silent:
            first = threading.Thread(target=ask, args=(cluster,))
            first.start()
            silent.accept()
            with pytest.raises(UnavailableError, match="no broker lets us in"):
                cluster.there(["orders"])
            assert first.is_alive(), "it still asks"
        first.join()
