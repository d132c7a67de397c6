"""`tidemill status`: one look, and a live one in a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tests import tiny
from tests.services import child_environ, free_port
from tidemill.cli.standing import Standing, read_standing, render
from tidemill.clock import wall_ms
from tidemill.project import Workspace, project_root
from tidemill.settings import read_settings
from tidemill.stores import Alert

MOMENT_S = 120.0


def shown(now: Standing, before: Standing | None = None, width: int = 140) -> str:
    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115  # ends with the test
    console.print(render(now, before), highlight=False)
    return console.export_text()


def words(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}


def test_what_came_between_two_looks_is_told_by_the_second(tmp_path: Path) -> None:
    nobody_there = {"TIDEMILL_MLFLOW__PORT": str(free_port()), "TIDEMILL_PREFECT__PORT": str(free_port())}
    workspace, settings = Workspace.open(tiny.project, tmp_path), read_settings({"TIDEMILL_HOME": str(tmp_path), **nobody_there})
    tiny.live(workspace, 0, 1)
    before = read_standing(workspace, settings)
    workspace.log.append([entry for entry in tiny.history(1, 2) if entry.stream == "orders"][:300], 0)
    workspace.engine().drain(1_000)
    workspace.predictions.confirm("a server", "late_order", 7, wall_ms())
    workspace.alerts.raise_alert(Alert("k", "late_order", "critical", "worse", "why", "", 1, condition="holds"))
    now = replace(read_standing(workspace, settings), at_wall_ms=before.at_wall_ms + 2_000)
    lines = words(shown(now, before))
    assert lines["orders"][1:8] == ["1,260", "1,260", "0", "0", "0", "0", "150.0"]
    assert lines["late_order"][1:] == ["7", "0", "0.0", "1"]
    alone = words(shown(now))
    assert alone["orders"][6:8] == ["0", "2025-01-16"]
    assert alone["mlflow"][1] == "down"
    narrow = shown(now, before, width=50)
    assert "…" not in narrow
    assert "stream orders  received 1,260  applied 1,260" in narrow
    assert words(shown(now, before, width=90))["orders"][1:8] == lines["orders"][1:8], "a table, as long as there is room for its figures"
    workspace.close()


def read(terminal: int) -> bytes:
    """What has come; nothing after a while without any, or once the other end is closed."""
    if not select.select([terminal], [], [], 0.2)[0]:
        return b""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def test_the_live_view_goes_on_until_ctrl_c(tmp_path: Path) -> None:
    ours = {"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_PROJECT": str(tiny.FILE), "TERM": "xterm", "COLUMNS": "140"}
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "tidemill.cli.main", "status", "--live", "--every", "0.5"]
    process = subprocess.Popen(command, cwd=project_root(), env=child_environ() | ours, stdout=end, stderr=end)
    os.close(end)
    seen, until_s = b"", time.monotonic() + MOMENT_S
    while seen.count(b"stream time") < 3:  # the third look
        assert time.monotonic() < until_s, seen.decode()
        seen += read(terminal)
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        assert time.monotonic() < until_s, seen.decode()
        seen += read(terminal)
    os.close(terminal)
    assert process.returncode == 0
    assert b"deliveries" in seen
    assert b"Traceback" not in seen
