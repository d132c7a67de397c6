"""A running engine publishes: what the project file says is in the topic, by `tidemill work` alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.kafka_server import kafka_server
from tests.published import predict, records
from tests.services import child_environ, log_tail
from tidemill.project import Workspace, load_project, project_root
from tidemill.stores import Alert

PATIENCE_S = 240.0
PROJECT = """
from tests.unit.events.taps import TAPS
from tidemill import KafkaTopic, Project
target = KafkaTopic("{topic}", "{bootstrap}")
project = Project("tides_out", streams=[TAPS], publish={{"predictions": target, "alerts": target}})
"""


def test_work_publishes_what_the_project_file_names(tmp_path: Path) -> None:
    server = kafka_server()
    topic, home, log, file = server.new_topic(), tmp_path / "home", tmp_path / "work.log", tmp_path / "tides.py"
    file.write_text(PROJECT.format(topic=topic, bootstrap=server.bootstrap))
    ours = {"TIDEMILL_HOME": str(home), "TIDEMILL_PROJECT": str(file), "PYTHONPATH": str(project_root())}
    with closing(Workspace.open(load_project(file), home)) as workspace, log.open("ab") as output:
        command = [sys.executable, "-m", "tidemill.cli.main", "work"]
        process = subprocess.Popen(command, cwd=project_root(), env=child_environ() | ours, stdout=output, stderr=output)

        def wait_until(holds: Callable[[], object]) -> None:
            until_s = time.monotonic() + PATIENCE_S
            while not holds():
                assert process.poll() is None and time.monotonic() < until_s, log_tail(log)
                time.sleep(0.05)

        standing = workspace.publications.standing
        try:
            wait_until(lambda: standing().keys() == {"predictions", "alerts"})
            ids = predict(workspace, 3)
            workspace.alerts.raise_alert(Alert("a1", "taps", "warning", "t", "b", "", at_ms=1))  # as a flow does, in another process
            wait_until(lambda: standing()["predictions"].sent == 3 and standing()["alerts"].sent == 1)
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            process.wait(PATIENCE_S)
    found = records(server, topic)
    assert [one.body["prediction_id"] for one in found if one.headers["kind"] == "prediction"] == list(map(str, ids))
    (alert,) = [one.body for one in found if one.headers["kind"] == "alert"]
    assert (alert["project"], alert["model"], alert["severity"]) == ("tides_out", "taps", "warning")
