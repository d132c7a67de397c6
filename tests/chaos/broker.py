"""A Kafka broker that can be killed and started again, and a way to it that can be disturbed."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

from benchmarks.kafka import Broker, free_ports, running_broker, set_up
from benchmarks.kafka_setup import Listener, Setup
from tests.chaos.clocks import faked_clock
from tests.chaos.proxy import Proxy


class ProxiedBroker:
    """Kafka; who connects through the proxy is told to come back through it."""

    def __init__(self, folder: Path) -> None:
        (behind,) = free_ports(1)
        self.proxy = Proxy(behind)
        folder.mkdir()
        self._home = set_up(folder, Setup("320m", listeners=[Listener("PROXIED", "PLAINTEXT", behind, self.proxy.port)]))
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

    def start(self, clock_s: int = 0) -> None:
        """Start it on what it has kept; it believes that it is so many seconds later."""
        self._broker = self._running.enter_context(running_broker(self._home, faked_clock(clock_s)))

    def kill(self) -> None:
        """kill -9."""
        os.kill(self._broker.pid, signal.SIGKILL)
        self._running.close()

    def stop(self) -> None:
        """Stop it in order, unless it has ended already."""
        self._running.close()

    def close(self) -> None:
        """End both."""
        self.proxy.close()
        self._running.close()
