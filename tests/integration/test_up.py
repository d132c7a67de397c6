"""`tidemill up` keeps the whole system up with one log; however it is ended, it ends all of it, those last that others ask.

```
 terminal ──Ctrl-C──► up ──► flows (and their runs), server, engine ──all gone──► prefect, mlflow
```
"""

from __future__ import annotations

import os
import pty
import re
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import tiny
from tests.chaos import held_fit
from tests.services import child_environ, free_port, log_tail, program
from tidemill.cli.services import is_taken
from tidemill.clock import wall_ms
from tidemill.project import Workspace, project_root

PATIENCE_S = 300.0
COLOUR = re.compile(r"\x1b\[\d+m")
AWAY = {"TIDEMILL_MLFLOW__URI": "http://127.0.0.1:9", "TIDEMILL_PREFECT__API_URL": "http://127.0.0.1:9/api"}  # nobody is there

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Up:
    """A system that was started in a terminal of its own."""

    process: subprocess.Popen[bytes]
    terminal: int
    folder: Path
    ports: Mapping[str, int]

    @property
    def said(self) -> str:
        """Its log so far."""
        return COLOUR.sub("", (self.folder / "up.log").read_text(errors="replace"))

    def ask(self, server: str, path: str, body: object = None) -> Any:
        """The JSON of an answer; None for whatever else comes of the question."""
        url = f"http://127.0.0.1:{self.ports[server]}{path}"
        with suppress(httpx.TransportError):
            answer = httpx.get(url, timeout=60) if body is None else httpx.post(url, json=body, timeout=60)
            return answer.json() if answer.is_success else None
        return None

    def wait(self, holds: Callable[[], object]) -> Any:
        """Until something is found; answers it."""
        until_s = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            assert self.process.poll() is None and time.monotonic() < until_s, log_tail(self.folder / "up.log")
            time.sleep(0.2)
        return found

    def pid(self, service: str) -> int:
        """That of a service, once it has been started."""
        return int(self.wait(lambda: re.search(rf"system +\| {service} started \(pid=(\d+)\)", self.said))[1])

    def ended(self) -> int:
        """The exit code, after everything that it has started has ended and no port is taken any more."""
        code = self.process.wait(PATIENCE_S)
        assert self.alive() == [], self.said[-4_000:]
        assert not any(is_taken(port) for port in self.ports.values())
        assert "Traceback" not in self.said
        assert "SIGKILL" not in self.said, "each had the time that it needs"
        return code

    def alive(self) -> list[str]:
        """The processes of this system that there are, by what they were started with."""
        ours, found = f"TIDEMILL_HOME={self.folder / 'home'}".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended
                if ours in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found


@contextmanager
def up(folder: Path, **environ: str) -> Iterator[Up]:
    """Start it; what is left of it in the end is killed."""
    ports = {name: free_port() for name in ("SERVER", "MLFLOW", "PREFECT")}
    ours = {f"TIDEMILL_{name}__PORT": str(port) for name, port in ports.items()} | environ
    ours |= {"TIDEMILL_HOME": str(folder / "home"), "TIDEMILL_PROJECT": str(Path(held_fit.__file__).resolve())}
    ours["PYTHONPATH"] = os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")])
    terminal, its = pty.openpty()
    line = ["setsid", "--ctty", program("tidemill"), "up", "--open"]
    process = subprocess.Popen(line, env=child_environ() | ours, cwd=project_root(), stdin=its, stdout=its, stderr=its)
    os.close(its)
    log = (folder / "up.log").open("wb", buffering=0)
    threading.Thread(target=_write_down, args=(terminal, log), daemon=True).start()
    system = Up(process, terminal, folder, ports)
    try:
        yield system
    finally:
        for service in re.findall(r"started \(pid=(\d+)\)", system.said):
            with suppress(ProcessLookupError):
                os.killpg(int(service), signal.SIGKILL)
        process.kill()
        process.wait()
        os.close(terminal)


def _write_down(terminal: int, log: RawIOBase) -> None:
    with log, suppress(OSError):  # which is how a terminal ends that nobody holds any more
        while said := os.read(terminal, 65_536):
            log.write(said)


def test_ctrl_c_in_the_middle_of_a_run_ends_everything_in_order(tmp_path: Path) -> None:
    with closing(Workspace.open(held_fit.project, tmp_path / "home")) as workspace:
        tiny.live(workspace, 0, 3)
    hold = tmp_path / "hold"
    hold.touch()
    with up(tmp_path, **{held_fit.HOLD: str(hold)}) as system:
        deployment = system.wait(lambda: system.ask("PREFECT", "/api/deployments/name/train/held"))
        begin = f"/api/deployments/{deployment['id']}/create_flow_run"
        system.wait(lambda: system.ask("PREFECT", begin, {"parameters": {"model": "late_order"}}))
        order = {"order_id": "late", "delivered_at": wall_ms(), "shop": "z", "delay_min": 20.0}
        taken = system.wait(lambda: system.ask("SERVER", "/v1/streams/deliveries/events", [order]))
        assert (taken["accepted"], taken["rejected"]) == (1, [])
        system.wait(lambda: "'n_3h': 1" in str(system.ask("SERVER", "/v1/features/by_shop/z")))
        system.wait(hold.with_suffix(held_fit.FITTING).exists)
        alive = " ".join(system.alive())
        assert all(name in alive for name in ("uvicorn", "prefect server", "serve.py", "tidemill work", "prefect.engine")), alive

        os.write(system.terminal, b"\x03")
        system.wait(lambda: "sending SIGTERM to flows" in system.said)
        hold.unlink()
        assert system.ended() == 130
        said = system.said
        assert all(re.search(rf"^[\d:]{{8}} {name} *\| ", said, re.MULTILINE) for name in ("mlflow", "prefect", "server", "system")), said
        last = min(said.index(f"sending SIGTERM to {name}") for name in ("mlflow", "prefect"))
        assert max(said.index(f"{name} stopped") for name in ("flows", "server", "engine")) < last
    with closing(sqlite3.connect(tmp_path / "home" / "prefect" / "prefect.db")) as prefect:
        assert prefect.execute("SELECT state_type FROM flow_run").fetchall() == [("CANCELLED",)]


def test_sigterm_ends_what_has_just_been_started(tmp_path: Path) -> None:
    with up(tmp_path, **AWAY) as system:
        system.wait(lambda: system.pid("engine") and system.pid("flows") and system.pid("server"))
        system.process.send_signal(signal.SIGTERM)
        assert system.ended() == 143


def test_a_service_that_dies_ends_the_others(tmp_path: Path) -> None:
    with up(tmp_path, **AWAY) as system:
        system.wait(lambda: system.ask("SERVER", "/healthz"))
        os.kill(system.pid("engine"), signal.SIGKILL)
        assert system.ended() == 137
