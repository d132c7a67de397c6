"""A Kafka broker that can be killed and started again, and a way to it that can be disturbed."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from benchmarks.kafka import Broker, free_ports, running_broker, set_up
from benchmarks.kafka_setup import Listener, Setup
from tests.chaos.clocks import Clock
from tests.chaos.proxy import Proxy

_PARTITIONS = 3


class ProxiedBroker:
    """Kafka; who connects through the proxy is told to come back through it."""

    def __init__(self, folder: Path) -> None:
        (behind,) = free_ports(1)
        self.proxy = Proxy(behind)
        folder.mkdir()
        proxied = Listener("PROXIED", "PLAINTEXT", behind, self.proxy.port)
        self._home = set_up(folder, Setup("320m", _PARTITIONS, listeners=[proxied]))
        self._running = ExitStack()
        self._broker: Broker
        self.start()

    @property
    def bootstrap(self) -> str:
        """The way that nobody disturbs."""
        return self._broker.bootstrap

    @property
    def proxied(self) -> str:
        """The way through the proxy."""
        return f"127.0.0.1:{self.proxy.port}"

    def start(self, clock: Clock | None = None) -> None:
        """Start it on what it has kept; it believes in the clock it is given."""
        self._broker = self._running.enter_context(running_broker(self._home, clock.environ if clock else None))

    def kill(self) -> None:
        """kill -9."""
        os.kill(self._broker.pid, signal.SIGKILL)
        self._running.close()

    def stop(self) -> None:
        """Stop it in order, unless it has ended already."""
        self._running.close()

    def n_sharing(self, group: str) -> int:
        """How many members of a group have partitions now; 0 while that is being settled."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            told = admin.describe_groups([group])[group]
        except KafkaError:  # it is being made
            return 0
        finally:
            admin.close()
        if told["group_state"] != "Stable":
            return 0
        return sum(any(topic["partitions"] for topic in one["member_assignment"]["assigned_partitions"]) for one in told["members"])

    def close(self) -> None:
        """End both."""
        self.proxy.close()
        self._running.close()
