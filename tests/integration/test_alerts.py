"""An alert reaches a person from a running engine, past a receiver that refuses it at first, and only once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import tiny
from tests.services import child_environ, log_tail
from tidemill.project import Workspace, project_root
from tidemill.stores import Alert

WAIT_S = 120.0
SECRET = "s3cr3t"


@pytest.fixture
def received() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The apprise URL of a receiver that answers 503 once, and what it has accepted."""
    accepted: list[dict[str, str]] = []
    asked = iter(range(1_000))

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            refused = next(asked) == 0
            if not refused:
                accepted.append(body)
            self.send_response(503 if refused else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name the base class gives
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"json://ana:{SECRET}@127.0.0.1:{server.server_address[1]}/alerts?cto=60&rto=60", accepted
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_running_engine_delivers_an_alert_once_and_keeps_the_secret(tmp_path: Path, received: tuple[str, list[dict[str, str]]]) -> None:
    url, accepted = received
    home, log = tmp_path / "home", tmp_path / "work.log"
    workspace = Workspace.open(tiny.project, home)
    alert = Alert(
        "outcomes:late_order:1:rate:9", "late_order", "critical", "late_order has become worse", "0.31 to 0.38", "", tiny.START_MS
    )
    ours = {
        "TIDEMILL_HOME": str(home),
        "TIDEMILL_PROJECT": str(tiny.FILE),
        "TIDEMILL_ALERTS__URLS": json.dumps([url]),
        "TIDEMILL_ALERTS__GATHER": "0s",
        "NO_PROXY": "127.0.0.1",
    }
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tidemill.cli.main", "work"]
        process = subprocess.Popen(command, cwd=project_root(), env=child_environ() | ours, stdout=output, stderr=output)
    try:
        assert workspace.alerts.raise_alert(alert)
        until_s = time.monotonic() + WAIT_S
        while (record := workspace.alerts.recent("late_order")[0]).delivered_wall_ms is None:
            assert process.poll() is None and time.monotonic() < until_s, log_tail(log)
            time.sleep(0.1)
        assert not workspace.alerts.raise_alert(alert), "raised before"
        assert workspace.alerts.raise_alert(replace(alert, key="parity:late_order:9")), "what another round of the relay delivers"
        until_s = time.monotonic() + WAIT_S
        while len(accepted) < 2:
            assert process.poll() is None and time.monotonic() < until_s, log_tail(log)
            time.sleep(0.1)
        process.terminate()
        assert process.wait(WAIT_S) == 0
    finally:
        process.kill()
        process.wait(WAIT_S)
        workspace.close()
    assert record.attempts == 1
    text = f"{alert.body}\nhttp://127.0.0.1:8000/#alerts"
    assert [(one["title"], one["message"]) for one in accepted] == [(alert.title, text)] * 2
    said = log.read_text()
    assert "alert not delivered" in said and "alert delivered" in said
    assert SECRET not in said
