"""A form of the page that is refused before it comes to its route is told of in words: the browser of whoever sent it shows the answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

from tidemill.ui.forms import refusal_page
from tidemill.ui.page import HTML

AsgiScope = dict[str, Any]
Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]

_FORMS = "/ui/"


class InWords:
    """ASGI middleware: it stands before all that may refuse a form, and turns what they say to programs into a page.

    Args:
        app: what comes behind; whatever it refuses as JSON has the form `{"error": {"where", "what"}}`.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: AsgiScope, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        """Let a request through; what is no form that a browser sends is left as it is."""
        await self._app(scope, receive, _Worded(send).send if _is_form(scope) else send)


class _Worded:
    """An answer on its way; it is held back where it is a refusal, until it is there."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_refusal(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._tell(self._start)

    async def _tell(self, start: Message) -> None:
        page = refusal_page(json.loads(self._body)["error"]["what"]).encode()
        headers = MutableHeaders(raw=[*start["headers"]])
        headers.update({"Content-Type": HTML, "Content-Length": str(len(page)), "Cache-Control": "no-store"})
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": page})


def _is_form(scope: AsgiScope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "POST"
        and scope["path"].startswith(_FORMS)
        and "text/html" in Headers(scope=scope).get("accept", "")
    )


def _is_refusal(start: Message) -> bool:
    return start["status"] >= 400 and Headers(raw=start["headers"]).get("content-type") == "application/json"
