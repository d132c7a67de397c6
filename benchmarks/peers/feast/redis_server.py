"""A Redis server of Debian's package `redis-server`, on loopback, for as long as a block runs."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """Run a server on a free port and answer the port; it is stopped, and its data gone, at the end of the block.

    It writes nothing to disk (`save ""`, no append-only file): the fastest it can be, and less than what a durable store promises.

    Raises:
        SystemExit: there is no `redis-server`, or it does not answer within 20 s.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("there is no redis-server; install Debian's package: apt-get install redis-server")
    port = _free_port()
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen(
            [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)],
            stdout=log,
            stderr=log,
        )
    try:
        _wait(server, port)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=20)


def redis_version(port: int) -> str:
    """The version the server tells."""
    with redis.Redis(port=port) as client:
        return str(client.info("server")["redis_version"])


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"redis-server ended with code {server.returncode} before it answered")
        try:
            with redis.Redis(port=port) as client:
                client.ping()
            return
        except redis.ConnectionError:
            time.sleep(0.05)
    raise SystemExit("redis-server did not answer within 20 s")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
