"""Answers of what stands before the routes, in the form that every error has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

AsgiScope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]


async def answer(send: Send, status: int, where: str, what: str, headers: Headers = ()) -> None:
    """Send a whole answer: what is wrong, and where."""
    body = orjson.dumps({"error": {"where": where, "what": what}})
    told = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})
