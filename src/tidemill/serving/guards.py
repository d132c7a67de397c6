"""What every request passes before a route sees it: loopback names only, no foreign page, a bounded body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import orjson

from tidemill.serving.intake import LINES

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
_HEADERS = [
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]
_STREAMS = "/v1/streams/"  # lines of events are taken as they come, and never held all at once
_DOCS = ("/docs", "/openapi.json")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class TooLargeError(Exception):
    """The body grew past the limit while it was read."""


class Guards:
    """ASGI middleware.

    There are no keys yet, so the server trusts whoever is on this machine, but not a web page that a browser on it has open: the
    Host must be a loopback name (against DNS rebinding) and an Origin, where sent, must be this server's own.

    Args:
        app: what comes behind.
        max_body_bytes: the largest body.
    """

    def __init__(self, app: Any, max_body_bytes: int) -> None:
        self._app = app
        self._most = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        is_streamed = scope["path"].startswith(_STREAMS) and headers.get(b"content-type", "").encode().startswith(LINES)
        refusal = self._refusal(headers) or (None if is_streamed else self._too_large(headers))
        if refusal is not None:
            await _answer(send, *refusal)
            return
        taken = 0

        async def bounded() -> dict[str, Any]:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most and not is_streamed:
                raise TooLargeError
            return message

        async def with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and scope["path"] not in _DOCS:
                message = {**message, "headers": [*message["headers"], *_HEADERS]}
            await send(message)

        try:
            await self._app(scope, bounded, with_headers)
        except TooLargeError:
            await _answer(send, 413, "body", f"more than {self._most} bytes; send it in parts")

    def _refusal(self, headers: dict[bytes, str]) -> tuple[int, str, str] | None:
        host = headers.get(b"host", "")
        if _name(host) not in _LOOPBACK:
            return 421, "header Host", f"{host[:80]!r} is not a loopback name; call 127.0.0.1"
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "header Origin", f"{origin[:80]!r} is another site; this server answers its own page and programs without an Origin"
        return None

    def _too_large(self, headers: dict[bytes, str]) -> tuple[int, str, str] | None:
        length = headers.get(b"content-length", "0")
        if not length.isdigit() or int(length) > self._most:
            return 413, "body", f"{length[:20]} bytes; at most {self._most}, send it in parts"
        return None


def _name(host: str) -> str:
    return host if host.endswith("]") else host.rpartition(":")[0] or host


async def _answer(send: Send, status: int, where: str, what: str) -> None:
    body = orjson.dumps({"error": {"where": where, "what": what}})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
