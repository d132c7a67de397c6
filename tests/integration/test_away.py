"""MLflow accepts and says nothing: the monitors wait for it, and events, alerts and the end of the process do not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import tiny
from tests.services import child_environ, log_tail
from tidemill.project import Workspace, project_root

PROJECT = """
from dataclasses import replace
from tests import tiny

model = replace(tiny.LATE_ORDER, policy=tiny.RetrainPolicy(on=("schedule",)))
project = tiny.Project("tiny_away", streams=[tiny.ORDERS, tiny.DELIVERIES], views=[tiny.BY_SHOP], models=[model])
"""
MOMENT_S = 90.0  # MLflow's client waits 120 s for an answer, and asks three times


@pytest.mark.timeout(400)
def test_events_do_not_wait_for_a_silent_mlflow(tmp_path: Path) -> None:
    file, home = tmp_path / "away.py", tmp_path / "home"
    file.write_text(PROJECT)
    with socket.socket() as silent, (tmp_path / "work.log").open("wb") as log:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(MOMENT_S)
        ours = {
            "TIDEMILL_HOME": str(home),
            "TIDEMILL_PROJECT": str(file),
            "TIDEMILL_MLFLOW__URI": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "PYTHONPATH": os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")]),
        }
        command = [sys.executable, "-m", "tidemill.cli.main", "work"]
        process = subprocess.Popen(command, cwd=project_root(), env=child_environ() | ours, stdout=log, stderr=log)
        try:
            asked, _ = silent.accept()  # from now on a monitor waits
            with asked:
                workspace = Workspace.open(tiny.named("tiny_away"), home)
                workspace.log.append(tiny.history(0, 1), 0)
                until_s = time.monotonic() + MOMENT_S
                while workspace.books()["orders"].pending or not workspace.books()["orders"].applied:
                    assert time.monotonic() < until_s, log_tail(tmp_path / "work.log")
                    time.sleep(0.05)
                workspace.close()
                process.send_signal(signal.SIGTERM)
                assert process.wait(MOMENT_S) == 0, log_tail(tmp_path / "work.log")
        finally:
            process.kill()
            process.wait(MOMENT_S)
