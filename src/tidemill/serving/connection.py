"""One connection of HTTP by uvicorn: each answer is one packet, and a server that is about to end says so to whoever streams.

uvicorn writes the head of an answer as soon as it is there and the body after it, and uvloop has the kernel send each at once: two calls
of the system on this side, and two on the caller's. And it waits for all connections before it tells the application of its end, so a
stream that nobody ends would keep it for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_BEFORE_END = "tidemill_before_end"


class Connection(HttpToolsProtocol):
    """The protocol of one connection; give it to `uvicorn.Config` as `http`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Write through a transport that waits for the end of the loop's round."""
        super().connection_made(Gathered(transport, self.loop))  # type: ignore[arg-type]  # all that uvicorn asks of one

    def shutdown(self) -> None:
        """The server is about to end: have the application end what is open, then end as soon as an answer is told."""
        app: Any = self.app
        while app is not None and not isinstance(app, FastAPI):
            app = getattr(app, "app", None)  # behind uvicorn's own middleware
        if app is not None and (before_end := getattr(app.state, _BEFORE_END, None)) is not None:
            before_end()
        super().shutdown()


def end_before(app: FastAPI, before_end: Callable[[], None]) -> None:
    """Call something in an application's loop, once or more often, before its server waits for its connections, e.g. `Changes.end`."""
    setattr(app.state, _BEFORE_END, before_end)


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
        if self._held and not self._transport.is_closing():  # else whoever asked has gone
            self._transport.write(b"".join(self._held))
        self._held.clear()
