"""`GET /ui/events`: a stream of server-sent events that says which parts of the page have changed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from tidemill.errors import BusyError, UnavailableError
from tidemill.ui.caller import caller_of, still_stands
from tidemill.ui.changes import Changes, Told

BEAT_S = 15.0
_STANDS_EVERY_S = 2.0  # a key that is revoked is shut out as soon as everywhere else
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # no proxy is to hold it back


class EventStream(StreamingResponse):
    """A stream that is counted for as long as it lasts, however it ends."""

    def __init__(self, request: Request, changes: Changes) -> None:
        self._changes, self._caller = changes, caller_of(request).prefix
        changes.begin(self._caller)
        super().__init__(_messages(request, changes), headers=_HEADERS, media_type="text/event-stream")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send until the client goes, its key is revoked or the server ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._changes.leave(self._caller)


def open_stream(request: Request, changes: Changes | None) -> Response:
    """The stream; 429 if the caller has too many, 503 while the server ends or where nobody watches."""
    try:
        if changes is None:
            raise UnavailableError("nobody watches for changes here")
        return EventStream(request, changes)
    except BusyError as error:
        return Response(str(error), 429, {"Retry-After": str(error.retry_after_s)}, "text/plain; charset=utf-8")
    except UnavailableError as error:
        return Response(str(error), 503, {"Retry-After": "2"}, "text/plain; charset=utf-8")


def message(told: Told) -> bytes:
    """One event.

    >>> message(Told({"streams": "ab"})), message(Told(failure="OSError: gone"))
    (b'event: marks\\ndata: {"streams":"ab"}\\n\\n', b'event: failing\\ndata: OSError: gone\\n\\n')
    """
    if told.failure:
        return b"event: failing\ndata: " + " ".join(told.failure.split()).encode() + b"\n\n"
    return b"event: marks\ndata: " + orjson.dumps(told.marks) + b"\n\n"


async def _messages(request: Request, changes: Changes) -> AsyncIterator[bytes]:
    """What is told, and every 15 s a comment with what was told last: it keeps the way open and shows that somebody is there."""
    last, sent_s = Told(), time.monotonic()
    async for told in changes.follow(_STANDS_EVERY_S):
        if not await still_stands(request):
            return
        if told is not None:
            last = told
            yield message(told)
        elif time.monotonic() - sent_s >= BEAT_S:
            yield b": still here\n" + message(last)
        else:
            continue
        sent_s = time.monotonic()
