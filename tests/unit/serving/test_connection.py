"""What is written in one round of the loop goes out in one write, in its order, and nothing of it is lost where the connection ends."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

import pytest
import uvicorn

from tidemill.serving import connection
from tidemill.serving.connection import Connection, Gathered

BODY = b"x" * 100
KEEP_ALIVE_S, STALL_S = 1, 2.0


class Wire:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        """Keep it."""
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        """Be closed."""
        self.closed = True

    def is_closing(self) -> bool:
        """Whether it is."""
        return self.closed

    def get_extra_info(self, name: str) -> str:
        """What it is asked."""
        return f"{name} of the wire"


def test_a_round_of_the_loop_is_one_write_and_closing_loses_nothing() -> None:
    async def write() -> Wire:
        wire = Wire()
        gathered = Gathered(cast(Any, wire), asyncio.get_running_loop())
        for part in (b"a", b"b"):
            gathered.write(part)
        assert wire.written == []
        await asyncio.sleep(0)
        gathered.write(b"c")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gathered.write(b"d")
        gathered.write(b"e")
        gathered.close()
        assert gathered.get_extra_info("socket") == "socket of the wire"
        return wire

    wire = asyncio.run(write())
    assert (wire.written, wire.closed) == ([b"ab", b"c", b"de"], True)


def test_who_has_gone_is_told_nothing() -> None:
    async def write() -> Wire:
        wire = Wire()
        gathered = Gathered(cast(Any, wire), asyncio.get_running_loop())
        gathered.write(b"a")
        wire.close()
        await asyncio.sleep(0)
        return wire

    assert asyncio.run(write()).written == []


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers in so many parts as the path says; none is one after a time in which the whole loop stands still. `/taken` takes a body."""
    if scope["path"] == "/taken":
        await take(scope, receive, send)
        return
    parts = int(scope["path"][1:])
    if not parts:
        time.sleep(STALL_S)
        parts = 1
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(parts * len(BODY)).encode())]})
    for left in range(parts, 0, -1):
        await send({"type": "http.response.body", "body": BODY, "more_body": left > 1})
        if parts > 1:
            await asyncio.sleep(0.001)


async def take(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Take a body to its end and say how long it was, then for as long again say nothing."""
    taken, more = 0, True
    while more:
        message = await receive()
        taken, more = taken + len(message.get("body", b"")), message.get("more_body", False)
    await asyncio.sleep(0.7)
    said = b"took %d" % taken + (b", %d headers" % len(scope["headers"]) if taken == 2 else b"")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(said)).encode())]})
    await send({"type": "http.response.body", "body": said})


def test_real_connections_get_whole_answers_in_their_order() -> None:
    async def ask(port: int, requests: Sequence[str], end: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        heads = [f"GET {path} HTTP/1.1\r\nhost: a\r\n" + (end if path == requests[-1] else "") + "\r\n" for path in requests]
        writer.write("".join(heads).encode())
        told = await reader.read()
        writer.close()
        return told

    async def go() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, http=Connection, lifespan="off", log_level="error"))
        serving = asyncio.create_task(server.serve([listening]))
        port = listening.getsockname()[1]
        told = await asyncio.gather(*(ask(port, ["/1", "/3", "/200"], "connection: close\r\n") for _ in range(8)))
        for one in told:
            assert one.count(b"HTTP/1.1 200 OK") == 3
            assert one.count(b"x") == (1 + 3 + 200) * len(BODY)
            assert [part.split(b"\r\n")[0] for part in one.split(b"content-length: ")[1:]] == [b"100", b"300", b"20000"]
        server.should_exit = True
        await serving

    asyncio.run(asyncio.wait_for(go(), 60))


@pytest.mark.parametrize(
    "head", ["GET /1?" + "a" * 900_000, "GET /1 HTTP/1.1\r\nx: " + "a" * 900_000, "GET /1 HTTP/1.1\r\n" + "x: a\r\n" * 150_000]
)
def test_a_head_without_an_end_is_refused_and_the_next_caller_answered(head: str) -> None:
    with serving_alone() as address:
        for _ in range(2):
            with socket.create_connection(address, timeout=60) as link:
                with suppress(ConnectionError):
                    link.sendall(head.encode())
                assert heard(link).startswith(b"HTTP/1.1 431 ")
            with socket.create_connection(address, timeout=60) as link:
                link.sendall(b"GET /1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: " + b"a" * 30_000 + b"\r\n\r\n")
                assert heard(link).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("begun", [b"", b"GET /1 HT", b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /1 HTTP/1.1\r\nho"])
def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HEAD_S", 0.5)
    with serving_alone() as address, socket.create_connection(address, timeout=60) as link:
        link.sendall(begun)
        said = heard(link)
        assert said.count(b"HTTP/1.1 200") == begun.count(b"\r\n\r\n")


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_a_body_and_an_answer_may_take_longer_than_a_head_however_it_came(pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HEAD_S", 0.5)
    head = b"POST /taken HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 200002\r\n\r\n"
    with serving_alone() as address, socket.create_connection(address, timeout=60) as link:
        for begin in range(0, len(head), -(-len(head) // pieces)):
            link.sendall(head[begin : begin + -(-len(head) // pieces)])
            time.sleep(0.05)
        link.sendall(b"b")
        time.sleep(1)
        link.sendall(b"b" * 200_001)
        said = heard(link)
        assert said.startswith(b"HTTP/1.1 200 ") and said.endswith(b"took 200002")


def test_bytes_that_are_no_request_do_not_hold_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HEAD_S", 0.5)
    with serving_alone() as address, socket.create_connection(address, timeout=60) as link:
        link.sendall(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n")
        said = b""
        while said.count(b"x") < len(BODY):
            said += link.recv(65_536)
        link.sendall(b"\r\n")
        assert heard(link) == b"", "closed, and no longer idle for 5 s"


def test_what_comes_behind_a_body_in_chunks_is_let_go() -> None:
    trailers = b"".join(b"t%d: a\r\n" % number for number in range(1_000))
    with serving_alone() as address, socket.create_connection(address, timeout=60) as link:
        link.sendall(
            b"POST /taken HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbb\r\n0\r\n" + trailers
        )
        time.sleep(0.2)
        link.sendall(b"\r\n")
        assert heard(link).endswith(b"took 2, 3 headers")


def heard(link: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    said = b""
    with suppress(ConnectionError):
        while more := link.recv(65_536):
            said += more
    return said


@contextmanager
def serving_alone() -> Iterator[tuple[str, int]]:
    """A server in a thread, and its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Connection, lifespan="off", log_level="error"))
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    serving.start()
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        serving.join(60)
        assert not serving.is_alive()


def test_a_request_that_came_while_the_loop_stood_still_is_answered_though_its_connection_was_idle_for_long() -> None:
    def ask(link: socket.socket, path: str) -> None:
        link.sendall(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())

    def told(link: socket.socket) -> bytes:
        said = b""
        while said.count(b"x") < len(BODY) and (more := link.recv(65_536)):
            said += more
        return said

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Connection, lifespan="off", log_level="error", timeout_keep_alive=KEEP_ALIVE_S)
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    serving.start()
    idle, busy = (socket.create_connection(listening.getsockname(), timeout=60) for _ in range(2))
    with idle, busy:
        ask(idle, "/1")
        assert told(idle).startswith(b"HTTP/1.1 200")
        ask(busy, "/0")  # its answer comes after the time that the other may be idle
        time.sleep(KEEP_ALIVE_S / 2)
        ask(idle, "/1")
        assert told(idle).startswith(b"HTTP/1.1 200")
        assert told(busy).startswith(b"HTTP/1.1 200")
        assert idle.recv(1) == b"", "once it is idle for long it is closed"
    server.should_exit = True
    serving.join(60)
    assert not serving.is_alive()
