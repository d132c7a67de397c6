"""Sockets that are closed when they cannot connect: kafka-python leaves each to the garbage collector while a broker is away."""

from __future__ import annotations

import socket
from typing import Any

from kafka.net.inet import KafkaNetSocket

DIRECTLY = "direct://"  # for the client's setting `proxy_url`, which says what connects: here without a proxy


class DirectSocket(KafkaNetSocket):  # type: ignore[misc]  # kafka-python has no types
    """Connects as kafka-python does, and closes what it could not connect; known to it by its scheme."""

    SCHEMES = ("direct",)

    async def sock_connect(self, net: Any, sock: socket.socket, sockaddr: Any, timeout_at: float | None = None) -> socket.socket:
        """See `KafkaNetSocket`."""
        try:
            connected: socket.socket = await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise
        return connected
