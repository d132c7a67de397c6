"""A TCP proxy on loopback that cuts, slows or swallows what goes through it."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress
from typing import Literal

Manner = Literal["pass", "slow", "swallow"]
_SLOW_S = 0.2


class Proxy:
    """Carries connections from its own port to another one of this machine, in the manner it was last told.

    Swallowed bytes never arrive and nobody is told, as when a machine has gone from the network: a connection that is half open.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.manner: Manner = "pass"
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._guard = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def n_open(self) -> int:
        """How many connections it carries."""
        with self._guard:
            return len(self._pairs)

    def cut(self) -> None:
        """End every connection at once."""
        with self._guard:
            pairs, self._pairs = self._pairs, []
        for one in (end for pair in pairs for end in pair):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._guard:
                self._pairs.append((client, server))
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        try:
            self._pass_on(client, server)
        finally:
            with self._guard, suppress(ValueError):  # it was cut
                self._pairs.remove((client, server))

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as ready, client, server, suppress(OSError):
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(65_536)  # type: ignore[union-attr]  # a socket
                    if not data:
                        return
                    if self.manner == "slow":
                        time.sleep(_SLOW_S)
                    if self.manner != "swallow":
                        key.data.sendall(data)
