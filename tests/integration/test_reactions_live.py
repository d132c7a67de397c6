"""Reactions from a running engine: a webhook whose URL is a secret, a deployment of a real Prefect, and the warning of dead letters."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.receiver import Receiver, receiving
from tests.services import child_environ, log_tail
from tests.unit.events.taps import T0, TAPS, entry
from tidemill.cli import runs
from tidemill.cli.reacting import Reacting
from tidemill.clock import DAY_MS, wall_ms
from tidemill.features import col, on
from tidemill.project import Project, Workspace, load_project, project_root
from tidemill.serving.reactions import ReactionWatch
from tidemill.streams import Entry

MOMENT_S = 120.0
SECRET = "s3cr3t"
PROJECT = """
from tests.unit.events.taps import TAPS
from tidemill import Project, col, on
dear = on(TAPS, name="dear", when=col("fare") >= 2, webhook_env="TAPS_HOOK", parameters={"where": "line"})
lost = on(TAPS, name="lost", when=col("fare") >= 2, webhook_env="NO_HOOK")
project = Project("tides_work", streams=[TAPS], reactions=[dear, lost])
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def wait_until(true: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    """Until something is so."""
    until_s = time.monotonic() + MOMENT_S
    while not true():
        assert process.poll() is None and time.monotonic() < until_s, log_tail(log)
        time.sleep(0.05)


def test_a_running_engine_calls_a_webhook_again_after_it_was_killed_and_keeps_the_secret(receiver: Receiver, tmp_path: Path) -> None:
    home, log, file = tmp_path / "home", tmp_path / "work.log", tmp_path / "tides.py"
    file.write_text(PROJECT)
    workspace = Workspace.open(load_project(file), home)
    ours = {"TIDEMILL_HOME": str(home), "TIDEMILL_PROJECT": str(file), "TAPS_HOOK": f"{receiver.url}/{SECRET}"}
    ours["PYTHONPATH"] = str(project_root())

    def work() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            command = [sys.executable, "-m", "tidemill.cli.main", "work"]
            return subprocess.Popen(command, cwd=project_root(), env=child_environ() | ours, stdout=output, stderr=output)

    process = work()
    try:
        wait_until(lambda: workspace.reactions.cursor() is not None, process, log)
        receiver.before_answer = process.kill  # it has arrived, and nobody knows
        workspace.log.append([Entry("taps", entry("t1", wall_ms(), line="a", fare=3.0).payload)], wall_ms())
        assert process.wait(MOMENT_S) == -9
        receiver.before_answer = lambda: None
        process = work()
        wait_until(lambda: workspace.reactions.standing()["dear"].sent == 1, process, log)
        wait_until(lambda: workspace.reactions.standing()["lost"].last_error, process, log)
        workspace.log.append([Entry("taps", "{")] * 30, wall_ms())
        wait_until(lambda: workspace.alerts.recent("taps"), process, log)
        process.terminate()
        assert process.wait(MOMENT_S) == 0
    finally:
        process.kill()
        process.wait(MOMENT_S)
        standing, alerts = workspace.reactions.standing(), workspace.alerts.recent("taps")
        workspace.close()
    said = [(one.path, one.body["event_id"], one.body["parameters"]) for one in receiver.received]
    assert said == [(f"/{SECRET}", "t1", {"where": "a"})] * 2
    assert len({one.key for one in receiver.received}) == 1
    assert (standing["lost"].waiting, standing["lost"].last_error) == (1, "NO_HOOK is not set")
    assert [one.alert.title for one in alerts] == ["taps: more events than usual are not applied"]
    assert "reaction sent name=dear event=t1" in log.read_text()
    kept = b"".join(path.read_bytes() for path in [log, *home.glob("loop.db*")])
    assert SECRET.encode() not in kept


FLOW = """
import sys
from pathlib import Path
from typing import Any
from prefect import flow

@flow
def investigate(where: str, n: float):
    with (Path(sys.argv[1]) / "done").open("a") as file:
        file.write(f"{where} {n:g}\\n")

if __name__ == "__main__":
    investigate.serve(name="taps")
"""


def runs_of(deployment: str) -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        wanted = client.read_deployment_by_name(deployment).id
        return [run for run in client.read_flow_runs() if run.deployment_id == wanted]


def test_a_deployment_runs_once_for_an_event_and_one_it_cannot_take_is_refused(prefect_api_url: str, tmp_path: Path) -> None:
    (tmp_path / "investigate.py").write_text(FLOW)
    given = {"where": "line", "n": "riders"}
    fine = on(TAPS, name="fine", when=col("fare") >= 2, run="investigate/taps", parameters=given)
    wrong = on(TAPS, name="wrong", when=col("fare") >= 2, run="investigate/taps", parameters={"where": "line"})
    workspace = Workspace.open(Project("tides", streams=[TAPS], reactions=[fine, wrong]), tmp_path / "home")
    watch, started = ReactionWatch(workspace), list[str]()
    workspace.log.append([entry("t1", T0, line="a", fare=3.0, riders=2)], 0)
    workspace.engine().drain(10)
    assert watch.step() == 2

    def start(deployment: str, parameters: dict[str, Any], key: str) -> None:
        started.append(str(runs.start(deployment, parameters, key, patience_s=MOMENT_S)))
        if len(started) == 1:
            raise OSError("killed between the start and its note")

    prefect = {"PREFECT_API_URL": prefect_api_url, "PREFECT_RUNNER_POLL_FREQUENCY": "1", "PREFECT_HOME": str(tmp_path / "p")}
    days = itertools.count(0, DAY_MS)  # each try a day after the one before: no pause is as long
    log = tmp_path / "serve.log"
    with temporary_settings({PREFECT_API_URL: prefect_api_url}), log.open("wb") as output:
        reacting = Reacting(workspace, start, {})
        assert reacting.step("fine", next(days)).failed == 1, "no such deployment yet"
        assert not started
        command = [sys.executable, str(tmp_path / "investigate.py"), str(tmp_path)]
        process = subprocess.Popen(command, cwd=tmp_path, env=child_environ() | prefect, stdout=output, stderr=output)
        try:
            wait_until(lambda: reacting.step("fine", next(days)).failed and started, process, log)
            wait_until(lambda: reacting.step("fine", next(days)).sent, process, log)  # a busy Prefect may refuse at first
            assert (len(started), len(set(started))) == (2, 1)
            assert [reacting.step("wrong", next(days)).given_up for _ in range(5)] == [0, 0, 0, 0, 1]
            wait_until((tmp_path / "done").exists, process, log)
            assert (tmp_path / "done").read_text() == "a 2\n"
            assert len(runs_of("investigate/taps")) == 1
        finally:
            process.terminate()
            process.wait(MOMENT_S)
            workspace.close()
    assert workspace.alerts.recent("wrong")[0].alert.title == "reaction wrong was refused"
