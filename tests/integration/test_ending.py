"""A server that is told to end waits for what is under way, and not for what has stopped in the middle: a caller, or PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests import tiny
from tests.databases import postgres_server
from tests.held import hold_version, name_versions
from tests.services import child_environ, free_port, log_tail
from tidemill.project import Workspace, project_root
from tidemill.registry import snapshot

PATIENCE_S, BOUND_S = 120.0, 30.0
HALF = b"POST /v1/streams/orders/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n[{"
ASKED = b'{"order_id": "q1", "shop": "a", "amount": 20.0}'
PREDICT = b"POST /v1/models/late_order/predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n%s" % (len(ASKED), ASKED)
EVENTS = HALF.replace(b"1000", b"2")[:-1] + b"]"
READ = b"GET /v1/decisions HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


def test_a_caller_that_stands_still_does_not_keep_it(tmp_path: Path) -> None:
    with serving(tmp_path) as (server, port, log), connected(port, log) as caller:
        caller.sendall(HALF)
        time.sleep(1)  # it has read that and waits for the rest
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE_S)
        assert f"running on http://127.0.0.1:{port} " in log.read_text(), "whoever starts it is told where it answers"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ([signal.SIGTERM], "what=Champions.stop"),
        ([signal.SIGINT], "threads=['AnyIO worker thread']"),
        ([signal.SIGINT, signal.SIGINT], "threads=['AnyIO worker thread']"),
    ],
    ids=["told", "Ctrl-C", "Ctrl-C twice"],
)
def test_a_database_that_stands_still_does_not_keep_it(tmp_path: Path, how: list[signal.Signals], said: str) -> None:
    with postgres_server() as database:
        with closing(Workspace.open(tiny.project, tmp_path / "home", database=database.url)) as workspace:
            tiny.live(workspace, 0, 2)
            hold_version(workspace, 1, snapshot(workspace, tiny.LATE_ORDER))
            name_versions(workspace, {"champion": 1})
        settings = {"PROFILE": "server", "DATABASE__URL": database.url, "LOG__KIND": "sql"}
        with serving(tmp_path, **settings) as (server, port, log):
            asked(port, log, PREDICT, b"HTTP/1.1 200 ")
            with database.standing_still(), ExitStack() as held:
                callers = [held.enter_context(connected(port, log)) for _ in range(9)]
                for place, caller in enumerate(callers):
                    caller.sendall((PREDICT, EVENTS, READ)[place % 3])
                time.sleep(2)  # they wait for it by now, and so does what looks for a new champion
                for one in how:
                    server.send_signal(one)
                    time.sleep(0.5)
                server.wait(BOUND_S)
        assert said in log.read_text(), log_tail(log)


@contextmanager
def serving(folder: Path, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """A server of its own that asks for no key: the process, its port, its log."""
    port, log = free_port(), folder / "serve.log"
    settings = {"HOME": str(folder / "home"), "PROJECT": str(tiny.FILE), "MLFLOW__URI": "http://127.0.0.1:9"}
    settings |= {"SERVER__PORT": str(port), "SERVER__OPEN": "true", "SERVER__END_S": "1"} | more
    environ = child_environ() | {f"TIDEMILL_{name}": value for name, value in settings.items()}
    environ["PYTHONPATH"] = os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")])
    line = [sys.executable, "-m", "tidemill.cli.main", "serve"]
    with log.open("wb") as output:
        server = subprocess.Popen(line, cwd=project_root(), env=environ, stdout=output, stderr=output)
    try:
        yield server, port, log
    finally:
        server.kill()
        server.wait()


def asked(port: int, log: Path, request: bytes, wanted: bytes) -> None:
    """Ask until it is answered like this: a server that has just begun may not have its champion."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        with connected(port, log) as caller:
            caller.sendall(request)
            if caller.recv(100).startswith(wanted):
                return
        assert time.monotonic() < until_s, log_tail(log)
        time.sleep(0.1)


def connected(port: int, log: Path) -> socket.socket:
    """To the server, once it is up."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            assert time.monotonic() < until_s, log_tail(log)
            time.sleep(0.1)
