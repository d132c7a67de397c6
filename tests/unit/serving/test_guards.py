"""What is bounded of a body, whatever its sender says of it and whatever the application does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tidemill.serving.answering import Receive, Send
from tidemill.serving.guards import Guards

MOST_BYTES = 100
LINES, JSON = (b"content-type", b"application/x-ndjson"), (b"content-type", b"application/json")
Message = dict[str, Any]


def told(headers: Sequence[tuple[bytes, bytes]], pieces: Sequence[bytes], *, answers_first: bool = False) -> list[Message]:
    """What is sent to somebody who sends pieces to an application that reads them all."""
    waiting, sent = list(pieces), list[Message]()

    async def receive() -> Message:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    async def application(_scope: Message, receive: Receive, send: Send) -> None:
        begin = {"type": "http.response.start", "status": 200, "headers": []}
        if answers_first:
            await send(begin)
        while (await receive())["more_body"]:
            pass
        if not answers_first:
            await send(begin)
        await send({"type": "http.response.body", "body": b"all of it"})

    scope = {"type": "http", "method": "POST", "path": "/v1/streams/a/events", "headers": [(b"host", b"127.0.0.1"), *headers]}
    asyncio.run(Guards(application, MOST_BYTES)(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    ("headers", "status"), [([LINES], 200), ([LINES, JSON], 200), ([JSON], 413), ([JSON, LINES], 413), ([], 413)], ids=str
)
def test_lines_alone_may_be_long_and_what_counts_is_what_the_route_goes_by(headers: list[tuple[bytes, bytes]], status: int) -> None:
    assert told(headers, [b"x" * 40] * 5)[0]["status"] == status
    assert told(headers, [b"x" * 40] * 2)[0]["status"] == 200


def test_a_body_that_is_too_large_for_an_answer_under_way_ends_it() -> None:
    assert [one["type"] for one in told([JSON], [b"x" * 40] * 5, answers_first=True)] == ["http.response.start"]
