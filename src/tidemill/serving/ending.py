"""uvicorn that says it is about to end before it waits for its connections: a stream that nobody ends would keep it for ever."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn


class EndingServer(uvicorn.Server):
    """A server.

    Args:
        config: as uvicorn takes it.
        before_end: called in the server's own thread once no more connections are taken, e.g. `Changes.end`.
    """

    def __init__(self, config: uvicorn.Config, before_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_end = before_end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what is open, then wait for it."""
        self._before_end()
        await super().shutdown(sockets)
