"""The proxy of the chaos suite: it carries, cuts and swallows, and keeps nothing of a connection that has ended."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.chaos.proxy import Proxy

PATIENCE_S = 60.0


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """To a server that says everything back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        found = Proxy(listener.getsockname()[1])
        yield found
        found.close()


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            link, _ = listener.accept()
        except OSError:
            return  # closed
        threading.Thread(target=_echo, args=(link,), daemon=True).start()


def _echo(link: socket.socket) -> None:
    with link:
        while data := link.recv(100):
            link.sendall(data)


def test_what_is_sent_comes_back(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S) as link:
        link.sendall(b"tap")
        assert link.recv(3, socket.MSG_WAITALL) == b"tap"


def test_a_cut_ends_the_connection(proxy: Proxy) -> None:
    with closing(socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S)) as link:
        link.sendall(b"tap")
        assert link.recv(3, socket.MSG_WAITALL) == b"tap"
        proxy.cut()
        assert link.recv(3) == b""


def test_what_is_swallowed_never_comes_and_the_connection_stays_until_it_is_cut(proxy: Proxy) -> None:
    with closing(socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S)) as link:
        link.sendall(b"tap")
        assert link.recv(3, socket.MSG_WAITALL) == b"tap"
        proxy.manner = "swallow"
        link.sendall(b"tap")
        link.settimeout(0.2)
        with pytest.raises(TimeoutError):
            link.recv(3)
        link.settimeout(PATIENCE_S)
        proxy.cut()
        assert link.recv(3) == b""


def test_connections_that_have_ended_are_forgotten(proxy: Proxy) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S) as link:
            link.sendall(b"tap")
            assert link.recv(3, socket.MSG_WAITALL) == b"tap"
    deadline_s = time.monotonic() + PATIENCE_S
    while proxy.n_open and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert proxy.n_open == 0
