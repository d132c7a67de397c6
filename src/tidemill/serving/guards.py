"""What every request passes first: the server's own names only, no foreign page, a body within bounds."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from tidemill.serving.answering import AsgiScope, Headers, Receive, Send, answer
from tidemill.serving.body import WHOLE, Body, TooLargeError, TooSlowError
from tidemill.serving.intake import LINES

HEADERS = "tidemill.headers"  # where a route leaves the headers that its answer has instead of those below
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
_POLICY = (  # that of the page too: a browser holds to both
    b"default-src 'self'; img-src 'self' data:; style-src 'self'; style-src-attr 'unsafe-inline'; frame-ancestors 'none'; "
    b"base-uri 'none'; form-action 'self'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
_ALWAYS_TLS = (b"strict-transport-security", b"max-age=31536000")
_LENGTH = re.compile(r"[0-9]{1,15}")  # isdigit would take other scripts too, and int refuses thousands of digits
_OURS, _PLAIN = "/v1/", "identity"  # the consoles behind us may unpack what they are sent
_STREAMS = "/v1/streams/"  # lines of events are taken as they come, and never held all at once


class Guards:
    """ASGI middleware.

    An open server trusts whoever is on this machine, but not a web page that a browser on it has open; one with keys must not lend a
    browser's session to such a page. So the Host must be a loopback name or one that the settings name (against DNS rebinding), and an
    Origin, where sent, must be this server's own.

    Args:
        app: what comes behind.
        max_body_bytes: the largest body.
        hosts: what it is called by beside loopback names.
        is_tls: whether browsers reach it by https alone.
    """

    def __init__(self, app: Any, max_body_bytes: int, hosts: tuple[str, ...] = (), is_tls: bool = False) -> None:
        self._app = app
        self._most = max_body_bytes
        self._names = _LOOPBACK | {host.lower() for host in hosts}
        self._always = [_ALWAYS_TLS] if is_tls else []

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Let a request through or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # of two alike the first counts, as it does for a route
        headers = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}
        is_streamed = scope["path"].startswith(_STREAMS) and headers.get(b"content-type", "").encode().startswith(LINES)
        refusal = self._refusal(headers, scope["path"]) or (None if is_streamed else self._too_large(headers))

        async def with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *scope.get(HEADERS, _HEADERS), *self._always]}
            await send(message)

        if refusal is not None:
            await answer(with_headers, *refusal)
        elif is_streamed or (WHOLE in scope and b"content-length" in headers):  # of that size, and there: nothing is left to bound
            await self._app(scope, receive, with_headers)
        else:
            await self._bounded(scope, Body(scope, receive, self._most), with_headers)

    async def _bounded(self, scope: AsgiScope, body: Body, send: Send) -> None:
        """Let a request through whose body ends it where it is too large or too slow, whatever a route makes of that."""
        begun = False

        async def told(message: dict[str, Any]) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                if body.failure is not None:
                    raise body.failure
                begun = True
            await send(message)

        try:
            await self._app(scope, body.receive, told)
        except (TooLargeError, TooSlowError) as error:
            if not begun:  # else the answer ends where it is
                await answer(send, *self._body_refusal(error))

    def _body_refusal(self, error: TooLargeError | TooSlowError) -> tuple[int, str, str, Headers]:
        if isinstance(error, TooLargeError):
            return 413, "body", f"more than {self._most} bytes; send it in parts", ()
        return 408, "body", "it does not come; send it at once, or events as lines", [(b"connection", b"close")]

    def _refusal(self, headers: dict[bytes, str], path: str) -> tuple[int, str, str] | None:
        host = headers.get(b"host", "")
        if _name(host).lower() not in self._names:
            return 421, "header Host", f"{host[:80]!r} is not a loopback name; call 127.0.0.1, or name it in TIDEMILL_SERVER__HOSTS"
        origin = headers.get(b"origin")
        if origin is not None and _site(origin) != host:
            return 403, "header Origin", f"{origin[:80]!r} is another site; this server answers its own page and programs without an Origin"
        packed = headers.get(b"content-encoding", _PLAIN)
        if packed.lower() != _PLAIN and path.startswith(_OURS):
            return 415, "header Content-Encoding", f"{packed[:80]!r}; send the body as it is, not packed"
        return None

    def _too_large(self, headers: dict[bytes, str]) -> tuple[int, str, str] | None:
        length = headers.get(b"content-length", "0")
        if not _LENGTH.fullmatch(length) or int(length) > self._most:
            return 413, "body", f"{length[:20]} bytes; at most {self._most}, send it in parts"
        return None


def _site(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # e.g. half an IPv6 address
        return ""


def _name(host: str) -> str:
    return host if host.endswith("]") else host.rpartition(":")[0] or host
