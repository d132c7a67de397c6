"""What is bounded of a body, whatever its sender says of it and whatever the application does, and the headers of every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tidemill.serving.answering import Receive, Send
from tidemill.serving.guards import HEADERS, Guards

MOST_BYTES = 100
LINES, JSON = (b"content-type", b"application/x-ndjson"), (b"content-type", b"application/json")
TLS_ALONE = (b"strict-transport-security", b"max-age=31536000")
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


@pytest.mark.parametrize(("packed", "status"), [(b"gzip", 415), (b"br, gzip", 415), (b"Identity", 200)])
def test_a_body_that_is_packed_is_named_as_such(packed: bytes, status: int) -> None:
    sent = told([LINES, (b"content-encoding", packed)], [b"x"])
    assert sent[0]["status"] == status
    assert status == 200 or b"send the body as it is" in sent[1]["body"]


def test_what_is_refused_says_so_with_the_headers_of_every_answer() -> None:
    for refused in (
        told([JSON], [b"x" * 40] * 5),
        told([JSON, (b"content-length", b"500")], []),
        told([(b"origin", b"http://elsewhere")], []),
    ):
        assert (b"x-content-type-options", b"nosniff") in refused[0]["headers"]


def test_a_body_that_is_too_large_for_an_answer_under_way_ends_it() -> None:
    assert [one["type"] for one in told([JSON], [b"x" * 40] * 5, answers_first=True)] == ["http.response.start"]


def headers_of(*, is_tls: bool, of_route: Sequence[tuple[bytes, bytes]] | None = None) -> list[tuple[bytes, bytes]]:
    """The headers that an answer without any gets, where its route may leave some of its own."""
    sent = list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    async def application(scope: Message, _receive: Receive, send: Send) -> None:
        if of_route is not None:
            scope[HEADERS] = of_route
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/v1/views", "headers": [(b"host", b"127.0.0.1")]}
    asyncio.run(Guards(application, MOST_BYTES, is_tls=is_tls)(scope, receive, send))
    found: list[tuple[bytes, bytes]] = sent[0]["headers"]
    return found


def test_an_answer_says_what_a_browser_may_do_with_it() -> None:
    found = headers_of(is_tls=False)
    told = dict(found)
    assert len(found) == len(told), "each once"
    assert told.pop(b"content-security-policy").split(b"; ") == [
        b"default-src 'self'",
        b"img-src 'self' data:",
        b"style-src 'self'",
        b"style-src-attr 'unsafe-inline'",
        b"frame-ancestors 'none'",
        b"base-uri 'none'",
        b"form-action 'self'",
    ]
    assert told == {
        b"x-content-type-options": b"nosniff",
        b"x-frame-options": b"DENY",
        b"referrer-policy": b"same-origin",
        b"cross-origin-opener-policy": b"same-origin",
        b"cross-origin-resource-policy": b"same-origin",
        b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    }


def test_browsers_are_told_to_come_back_by_https_where_there_is_nothing_else() -> None:
    assert TLS_ALONE not in headers_of(is_tls=False)
    assert headers_of(is_tls=True) == [*headers_of(is_tls=False), TLS_ALONE]


@pytest.mark.parametrize("is_tls", [False, True])
def test_a_route_with_headers_of_its_own_has_them_instead_but_for_the_one_of_tls(is_tls: bool) -> None:
    mine = [(b"content-security-policy", b"default-src *")]
    assert headers_of(is_tls=is_tls, of_route=mine) == ([*mine, TLS_ALONE] if is_tls else mine)
