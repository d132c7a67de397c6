"""A server that only takes what is sent: what the client and the HTTP server can do when nothing is done with the events."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.servers import answers

_START_S = 30.0


async def app(_scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Read the body and answer 200."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def sink() -> Iterator[int]:
    """Such a server in a process of its own; answers its port.

    Raises:
        RuntimeError: it does not answer within half a minute.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "benchmarks.http_sink:app",
        "--lifespan",
        "off",
        "--log-level",
        "warning",
        "--port",
        str(port),
    ]
    server = subprocess.Popen(command)
    try:
        deadline_s = time.monotonic() + _START_S
        while not answers(port):
            if server.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError("the server that only takes does not answer")
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait()
