"""One connection of HTTP by uvicorn: an answer is one packet, heads are bounded, the dead are found, and whoever streams hears of the end.

uvicorn writes the head of an answer as soon as it is there and the body after it, and uvloop has the kernel send each at once: two calls
of the system on this side, and two on the caller's. And it waits for all connections before it tells the application of its end, so a
stream that nobody ends would keep it for ever. Nor does it bound how long the head of a request may be, or how long it may take to come,
nor does it notice that a silent caller is no more.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidemill.serving.body import WHOLE

_LET_GO: deque[tuple[bytes, bytes]] = deque(maxlen=0)
_HEAD_S, _MOST_HEAD_BYTES = 30.0, 65_536  # its first and its last piece, what one look at the socket brings, are not counted
_TOO_LONG_SAID = b'{"error":{"where":"headers","what":"headers: more than %d bytes with the path; send less"}}' % _MOST_HEAD_BYTES
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_TOO_LONG_SAID), _TOO_LONG_SAID)
)
_BEFORE_END = "tidemill_before_end"
_ASKED_AFTER_S, _ASKED_EVERY_S, _ASKED_TIMES = 60, 20, 3  # whether a silent caller is there still


class Connection(HttpToolsProtocol):
    """The protocol of one connection; give it to `uvicorn.Config` as `http`."""

    headers: Any  # of the head that is coming
    scope: Any  # of the request that is coming or came last; it names a method once its head is whole

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Write through a transport that waits for the end of the loop's round."""
        super().connection_made(Gathered(transport, self.loop))  # type: ignore[arg-type]  # all that uvicorn asks of one
        _end_when_gone(transport.get_extra_info("socket"))
        self.scope = {}  # of no request yet
        self._head_of = self.scope  # of the head that is coming, or came last in pieces
        self._head_bytes = 0
        self._head_due: asyncio.TimerHandle | None = None
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for no head any more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, unless it is the head of a request that never ends."""
        super().data_received(data)
        if "method" not in self.scope:
            self._take_piece(len(data))
        elif getattr(self.cycle, "response_complete", False):  # bytes that are nothing: uvicorn waits for no next request any more
            self._wait_for_head()
        elif self._head_due is not None:
            self._wait_no_more()

    def on_headers_complete(self) -> None:
        """Begin with the request; what comes behind a body in chunks, of which there could be any number, is no header of it."""
        super().on_headers_complete()
        self.headers = _LET_GO

    def on_message_complete(self) -> None:
        """Note that its body is there, mostly before its task begins: whoever reads it then needs no clock."""
        super().on_message_complete()
        self.scope[WHOLE] = True

    def _take_piece(self, n_bytes: int) -> None:
        self._wait_for_head()
        if self._head_of is not self.scope:  # its first bytes, and maybe the last of what was before it
            self._head_of, self._head_bytes = self.scope, 0
            return
        self._head_bytes += n_bytes
        if self._head_bytes > _MOST_HEAD_BYTES and not self.transport.is_closing():
            if getattr(self.cycle, "response_complete", True):  # else an answer is under way
                self.transport.write(_TOO_LONG)
            self.transport.close()

    def _wait_for_head(self) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(_HEAD_S, self._give_up)

    def _wait_no_more(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def shutdown(self) -> None:
        """The server is about to end: have the application end what is open, then end as soon as an answer is told."""
        app: Any = self.app
        while app is not None and not isinstance(app, FastAPI):
            app = getattr(app, "app", None)  # behind uvicorn's own middleware
        if app is not None and (before_end := getattr(app.state, _BEFORE_END, None)) is not None:
            before_end()
        super().shutdown()


def _end_when_gone(link: socket.socket) -> None:
    """Have the system ask a silent caller whether it is there: lines and pages are silent for hours, and a machine goes without a word."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", _ASKED_AFTER_S), ("TCP_KEEPINTVL", _ASKED_EVERY_S), ("TCP_KEEPCNT", _ASKED_TIMES)):
        if hasattr(socket, option):  # not everywhere
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


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
