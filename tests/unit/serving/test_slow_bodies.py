"""A body that does not come to its end is not waited for, whoever reads it; a slow one is, and lines for as long as they come."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from tests.unit.serving.predict_site import BODY, PATH, Site, open_site
from tests.unit.serving.test_connection import heard
from tidemill.serving import body
from tidemill.serving.body import Body, TooSlowError
from tidemill.serving.connection import Connection

FIRST_S = 0.5
Address = tuple[str, int]
EVENTS = "/v1/streams/deliveries/events"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Address]]:
    folder: Path = tmp_path_factory.mktemp("home")
    listening = socket.create_server(("127.0.0.1", 0))
    with open_site(folder) as site:
        server = uvicorn.Server(uvicorn.Config(site.app, http=Connection, lifespan="off", log_level="error"))
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        serving.start()
        yield site, listening.getsockname()
        server.should_exit = True
        serving.join(60)
        assert not serving.is_alive()


def begun(served: tuple[Site, Address], path: str, length: int, kind: str = "application/json") -> socket.socket:
    """A connection on which the head of a request has been sent."""
    site, address = served
    headers = [*site.headers(content_type=kind), (b"content-length", b"%d" % length)]
    link = socket.create_connection(address, timeout=60)
    link.sendall(b"POST %s HTTP/1.1\r\n" % path.encode() + b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n")
    return link


@pytest.mark.parametrize("path", [PATH, PATH + "?explain=false", EVENTS, "/v1/features/by_shop", "/v1/models/late_order/release"])
@pytest.mark.parametrize("trickles", [False, True])
def test_a_body_without_an_end_is_refused(served: tuple[Site, Address], path: str, trickles: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_FIRST_S", FIRST_S)
    with begun(served, path, 1_000) as link:
        link.setblocking(False)
        until_s, sent = time.monotonic() + 20, 0
        while sent < 100 and time.monotonic() < until_s:
            try:
                link.recv(1, socket.MSG_PEEK)
                break
            except BlockingIOError:
                pass
            if trickles:
                link.sendall(b" ")
                sent += 1
            time.sleep(0.05)
        link.settimeout(60)
        said = heard(link)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["where"] == "body"


def test_a_slow_body_that_comes_is_taken(served: tuple[Site, Address], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_FIRST_S", FIRST_S)
    whole = BODY.ljust(1_900)
    with begun(served, PATH, len(whole)) as link:
        for begin in range(0, len(whole), 475):
            link.sendall(whole[begin : begin + 475])
            time.sleep(FIRST_S / 2)
        assert link.recv(100).startswith(b"HTTP/1.1 200 "), "in twice the time that is left to one that does not come"


def test_lines_come_for_as_long_as_they_come(served: tuple[Site, Address], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_FIRST_S", FIRST_S)
    with begun(served, EVENTS, 6, "application/x-ndjson") as link:
        link.sendall(b"{}\n")
        time.sleep(3 * FIRST_S)
        link.sendall(b"{}\n")
        assert link.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_line_is_an_event_before_the_next_one_comes(served: tuple[Site, Address]) -> None:
    log = served[0].workspace.log
    before = log.end().offset("deliveries")
    with begun(served, EVENTS, 6, "application/x-ndjson") as link:
        for n_lines in (1, 2):
            link.sendall(b"{}\n")
            until_s = time.monotonic() + 60
            while log.end().offset("deliveries") < before + n_lines:
                assert time.monotonic() < until_s
                time.sleep(0.005)
        assert link.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_silent_sender_is_asked_whether_it_is_there(served: tuple[Site, Address]) -> None:
    with begun(served, EVENTS, 6, "application/x-ndjson") as link:
        link.sendall(b"{}\n")
        theirs = f":{served[1][1]:04X}", f":{link.getsockname()[1]:04X}"
        until_s = time.monotonic() + 60
        while True:  # see proc_net_tcp of the kernel: addresses, state, queues, and the timer that runs, of which 2 is keepalive
            rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
            (timer,) = [row[5][:2] for row in rows if (row[1][-5:], row[2][-5:]) == theirs]
            if timer == "02":
                break
            assert time.monotonic() < until_s, timer
            time.sleep(0.01)


def test_the_end_of_a_connection_is_waited_for_as_long_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_FIRST_S", 0.1)

    async def go(first: dict[str, object]) -> str:
        waiting = [first]

        async def receive() -> dict[str, object]:
            if not waiting:
                await asyncio.sleep(0.3)
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        taken = Body({}, receive, 100)
        await taken.receive()
        return str((await taken.receive())["type"])

    assert asyncio.run(go({"type": "http.request", "body": b"a"})) == "http.disconnect"
    with pytest.raises(TooSlowError):
        asyncio.run(go({"type": "http.request", "body": b"a", "more_body": True}))
