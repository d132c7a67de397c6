"""HTTP by uvicorn, with each answer in one packet.

uvicorn writes the head of an answer as soon as it is there and the body after it, and uvloop has the kernel send each at once: two calls
of the system on this side, and two on the caller's.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWrite(HttpToolsProtocol):
    """The protocol of one connection; give it to `uvicorn.Config` as `http`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Write through a transport that waits for the end of the loop's round."""
        super().connection_made(Gathered(transport, self.loop))  # type: ignore[arg-type]  # all that uvicorn asks of one


class Gathered:
    """A transport that writes once a round of the loop, all that it was given in it.

    Args:
        transport: of the connection.
        loop: that it belongs to.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        """Whatever else a transport can."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write it by the end of this round."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        """Write what is held, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()
