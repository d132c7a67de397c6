"""Several processes on one port: all answer, one tells what all have counted, they can be replaced, and all end when told to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests import tiny
from tests.held import hold_version, name_versions
from tests.services import child_environ, free_port, log_tail
from tidemill.project import Workspace, project_root
from tidemill.registry import snapshot

PATIENCE_S = 240.0
N_WORKERS, N_ASKED = 2, 300
ASKED = {"order_id": "q1", "shop": "a", "amount": 20.0}
COUNTED = re.compile(r'^tidemill_predictions_total\{model="late_order",process="(\d+)"\} (\d+)\.0$', re.M)


@dataclass(frozen=True)
class Site:
    """A server of several processes."""

    url: str
    home: Path
    log: Path
    process: subprocess.Popen[bytes]
    answered: list[int] = field(default_factory=list)  # one for each prediction

    def predict(self) -> int:
        """Ask over a connection of its own, which whichever process takes; answers the status."""
        status = httpx.post(f"{self.url}/v1/models/late_order/predict", json=ASKED, timeout=PATIENCE_S).status_code
        if status == 200:
            self.answered.append(status)
        return status

    def counted(self) -> dict[int, int]:
        """By process, how many predictions it has answered."""
        said = httpx.get(f"{self.url}/metrics", timeout=PATIENCE_S).text
        return {int(process): int(count) for process, count in COUNTED.findall(said)}

    def all_counted(self) -> dict[int, int]:
        """The same, once every prediction that was answered is told: counts are up to a second old."""
        self.until(lambda: sum(self.counted().values()) == len(self.answered))
        return self.counted()

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it comes to hold, however slow the machine is."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                if holds():
                    return
            except httpx.TransportError:  # it is not up yet, or the process that was asked has just been killed
                pass
            assert self.process.poll() is None and time.monotonic() < until_s, log_tail(self.log)
            time.sleep(0.1)


BROKEN = """
from multiprocessing import parent_process

from tidemill.errors import NotReadyError

if parent_process() is not None:
    raise NotReadyError("it is not there yet")
from tests.tiny import project
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with closing(Workspace.open(tiny.project, tmp_path)) as workspace:
        tiny.live(workspace, 0, 2)
        hold_version(workspace, 1, snapshot(workspace, tiny.LATE_ORDER))
        name_versions(workspace, {"champion": 1})
    port, log = free_port(), tmp_path / "serve.log"
    settings = {"HOME": str(tmp_path), "PROJECT": str(tiny.FILE), "MLFLOW__URI": "http://127.0.0.1:9", "SERVER__PORT": str(port)}
    environ = child_environ() | {f"TIDEMILL_{name}": value for name, value in settings.items()}
    environ["PYTHONPATH"] = os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")])
    line = [sys.executable, "-m", "tidemill.cli.main", "serve", "--open", "--workers", str(N_WORKERS)]
    with log.open("wb") as output:
        process = subprocess.Popen(line, cwd=project_root(), env=environ, stdout=output, stderr=output, start_new_session=True)
    try:
        yield Site(f"http://127.0.0.1:{port}", tmp_path, log, process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_none_goes_on_without_the_one_that_started_them(site: Site) -> None:
    site.until(lambda: site.predict() == 200 and len(site.counted()) == N_WORKERS)
    workers = site.counted()
    site.process.kill()
    site.process.wait(PATIENCE_S)
    until_s = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < until_s, log_tail(site.log)
        time.sleep(0.1)


def test_where_none_comes_up_they_are_given_up(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(BROKEN)
    settings = {"HOME": str(tmp_path / "home"), "PROJECT": str(tmp_path / "project.py"), "SERVER__PORT": str(free_port())}
    environ = child_environ() | {f"TIDEMILL_{name}": value for name, value in settings.items()}
    environ["PYTHONPATH"] = os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")])
    line = [sys.executable, "-m", "tidemill.cli.main", "serve", "--open", "--workers", str(N_WORKERS)]
    done = subprocess.run(line, cwd=project_root(), env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert done.stderr.count("it is not there yet") >= 2 * N_WORKERS, done.stderr[-2_000:]
    assert done.stderr.strip().splitlines()[-1].startswith("error no process of the server comes up")


def test_all_answer_are_replaced_and_end(site: Site) -> None:
    site.until(lambda: site.predict() == 200)
    site.until(lambda: site.predict() == 200 and len(site.counted()) == N_WORKERS)
    before = site.all_counted()
    assert [site.predict() for _ in range(N_ASKED)] == [200] * N_ASKED
    after = site.all_counted()
    assert all(after[process] > before[process] for process in before), "each has answered some"
    with closing(Workspace.open(tiny.project, site.home)) as workspace:
        assert workspace.predictions.count("late_order") == sum(after.values()) == len(site.answered)
        assert set(workspace.predictions.servers("late_order", 0).values()) == {1}

    dead = next(iter(after))
    os.kill(dead, signal.SIGKILL)
    site.until(lambda: site.predict() == 200 and len(site.counted()) == N_WORKERS and dead not in site.counted())
    replaced = Counter(site.counted())
    assert all(replaced[process] >= count for process, count in after.items() if process != dead)

    old = set(replaced)
    site.process.send_signal(signal.SIGHUP)
    site.until(lambda: site.predict() == 200 and len(site.counted()) == N_WORKERS and old.isdisjoint(site.counted()))

    with httpx.stream("GET", f"{site.url}/ui/events", timeout=PATIENCE_S) as page:
        assert page.status_code == 200
        assert next(page.iter_lines())
        site.process.send_signal(signal.SIGTERM)
        site.process.wait(PATIENCE_S)
    assert not any(Path(f"/proc/{process}").exists() for process in (*after, *replaced))
    assert list((site.home / "servers").glob("*/*")) == []
