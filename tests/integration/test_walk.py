"""The newcomer's walk is the README's: its commands are run as they stand there, on a CSV file in which the world changes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.services import child_environ, free_port, log_tail, program
from tidemill.cli.starting import write_orders
from tidemill.cli.starting.sample_orders import CHANGED_FROM, DAYS
from tidemill.clock import DAY_MS
from tidemill.project import project_root

BEGIN_MS = 1_767_225_600_000  # 2026-01-01
PATIENCE_S = 1_500.0

pytestmark = pytest.mark.timeout(1_800)


@dataclass(frozen=True)
class Walk:
    """Where it was walked, in which environment, and what the second terminal showed."""

    folder: Path
    environ: Mapping[str, str]
    shown: str


def commands(terminal: str) -> str:
    """The README's commands for one of the terminals."""
    text = (project_root() / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"<!-- walk: {terminal} terminal -->\n```sh\n(.*?)```", text, re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """Both terminals, side by side."""
    folder = tmp_path_factory.mktemp("walk")
    write_orders(folder / "orders.csv", BEGIN_MS + DAYS * DAY_MS)
    ports = {f"TIDEMILL_{name}__PORT": str(free_port()) for name in ("SERVER", "MLFLOW", "PREFECT")}
    dropped = {name for name in os.environ if name.startswith("TIDEMILL_")}
    environ = {name: value for name, value in child_environ().items() if name not in dropped} | ports
    environ["PATH"] = f"{Path(program('tidemill')).parent}{os.pathsep}{os.environ['PATH']}"
    said = folder / "first.log"
    with said.open("wb") as log:
        first = subprocess.Popen(
            ["bash", "-euc", commands("first")],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until_s = time.monotonic() + PATIENCE_S
        while "the demo stays up" not in said.read_text(errors="replace"):
            assert first.poll() is None and time.monotonic() < until_s, log_tail(said)
            time.sleep(0.5)
        second = subprocess.run(
            ["bash", "-euc", commands("second")], cwd=folder, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert second.returncode == 0, second.stderr
        yield Walk(folder / "shop", environ, second.stdout)
    finally:
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(first.pid, signal.SIGINT)
            first.wait(120)
        with suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
        first.wait(120)


def told(walk: Walk, *command: str) -> Any:
    """What a reading command answers as JSON."""
    done = subprocess.run(
        [program("tidemill"), *command, "--json"], cwd=walk.folder, env=walk.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_first_prediction_is_answered(walk: Walk) -> None:
    assert re.search(r"^0\.\d{4}  \(version \d+, prediction \d+\)", walk.shown, re.MULTILINE), walk.shown


def test_the_first_alert_is_of_the_change_and_none_comes_before(walk: Walk) -> None:
    alerts = sorted(told(walk, "alerts")["alerts"], key=lambda alert: int(alert["at_ms"]))
    assert alerts, walk.shown
    first = alerts[0]
    assert (first["kind"], first["model"], first["severity"]) == ("outcomes", "refunded", "critical")
    assert re.fullmatch(r"refunded version \d+ has become worse", first["title"])
    assert BEGIN_MS + CHANGED_FROM * DAY_MS < first["at_ms"] < BEGIN_MS + DAYS * DAY_MS
    assert re.search(r"\bcritical +refunded\b", walk.shown), "the table that the README's command shows has it too"


def test_the_loop_was_asked_by_the_first_alert(walk: Walk) -> None:
    asked = [int(decision["requested_at_ms"]) for decision in told(walk, "audit", "refunded") if decision["trigger"] == "error"]
    assert asked, walk.shown
    assert min(asked) == min(alert["at_ms"] for alert in told(walk, "alerts")["alerts"])
