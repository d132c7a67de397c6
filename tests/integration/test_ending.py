"""A server that is told to end waits for what is under way, and not for a caller that has stopped in the middle."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests import tiny
from tests.services import child_environ, free_port, log_tail
from tidemill.project import project_root

PATIENCE_S = 120.0
HALF = b"POST /v1/streams/orders/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n[{"


def test_a_caller_that_stands_still_does_not_keep_it(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "serve.log"
    settings = {"HOME": str(tmp_path / "home"), "PROJECT": str(tiny.FILE), "MLFLOW__URI": "http://127.0.0.1:9"}
    settings |= {"SERVER__PORT": str(port), "SERVER__OPEN": "true", "SERVER__END_S": "1"}
    environ = child_environ() | {f"TIDEMILL_{name}": value for name, value in settings.items()}
    environ["PYTHONPATH"] = os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")])
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "tidemill.cli.main", "serve"], cwd=project_root(), env=environ, stdout=output, stderr=output
        )
    try:
        with connected(port, log) as caller:
            caller.sendall(HALF)
            time.sleep(1)  # it has read that and waits for the rest
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE_S)
    finally:
        server.kill()
        server.wait()


def connected(port: int, log: Path) -> socket.socket:
    """To the server, once it is up."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            assert time.monotonic() < until_s, log_tail(log)
            time.sleep(0.1)
