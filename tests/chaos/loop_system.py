"""The loop under chaos: MLflow, Prefect, the flows and `tidemill work`, each a process that can be killed and started anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests import tiny
from tests.chaos import held_fit
from tests.chaos.system import PATIENCE_S, StuckError
from tests.services import Server, free_port, program, running, stop
from tidemill.cli.environment import shared_environ
from tidemill.project import Workspace
from tidemill.registry import Asker, Registry, request_retrain
from tidemill.settings import read_settings
from tidemill.stores import Decision

LEASE_S = 30.0  # a busy machine is no dead run
NAME = "held.late_order"
_ROOT = Path(__file__).parents[2]
_LOOK_S = 0.2
_DAYS = 3  # of events a round


class LoopSystem:
    """What runs, and what has been decided. `workspace` and `registry` look on from beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hold = folder / "hold"
        self._days = 0
        self._ports = {name: free_port() for name in ("mlflow", "prefect")}
        self._settings = read_settings(
            {
                "TIDEMILL_HOME": str(folder / "home"),
                "TIDEMILL_PROJECT": str(Path(held_fit.__file__).resolve()),
                "TIDEMILL_MLFLOW__URI": f"http://127.0.0.1:{self._ports['mlflow']}",
                "TIDEMILL_PREFECT__API_URL": f"http://127.0.0.1:{self._ports['prefect']}/api",
                "TIDEMILL_LOOP__LEASE_S": str(LEASE_S),
            }
        )
        self._environ = shared_environ(self._settings) | {
            "TIDEMILL_MLFLOW__URI": self._settings.mlflow_uri,
            "TIDEMILL_PREFECT__API_URL": self._settings.prefect_api_url,
            "TIDEMILL_LOOP__LEASE_S": str(LEASE_S),
            held_fit.HOLD: str(self._hold),
        }
        self.servers: dict[str, subprocess.Popen[bytes]] = {}
        self._ending = ExitStack()
        try:
            self._log = self._ending.enter_context((folder / "system.log").open("ab"))
            Path(self._environ["PREFECT_HOME"]).mkdir(parents=True)
            self.start("mlflow", "prefect")
            self.workspace = Workspace.open(held_fit.project, self._settings.home)
            self._ending.callback(self.workspace.close)
            self.registry = Registry(self._settings.mlflow_uri, self.workspace.home)
            tiny.live(self.workspace, 0, _DAYS)
            self._days = _DAYS
            os.environ[held_fit.HOLD] = str(self._hold)
            self.registry.promote(NAME, tiny.train_version(self.workspace, self.registry))
            self.flows = self._start([sys.executable, str(_ROOT / "deployments" / "serve.py")])
            self.worker = self._start([program("tidemill"), "work"])
        except BaseException:
            self.close()
            raise

    def start(self, *names: str) -> None:
        """Start servers, all at once, and wait until they answer."""
        with ExitStack() as stack:
            for name in names:
                self.servers[name] = stack.enter_context(running(self._server(name)))
            self._ending.push(stack.pop_all())

    def kill(self, *names: str) -> None:
        """kill -9 of servers, with all their children."""
        for name in names:
            os.killpg(self.servers[name].pid, signal.SIGKILL)
            self.servers[name].wait()

    def kill_flows(self) -> None:
        """kill -9 of who starts the runs, and of every run with it; it is started again, as whoever watches over processes would."""
        os.killpg(self.flows.pid, signal.SIGKILL)
        self.flows.wait()
        self.flows = self._start([sys.executable, str(_ROOT / "deployments" / "serve.py")])

    def kill_runs(self) -> None:
        """kill -9 of every run."""
        found = subprocess.run(["pgrep", "-P", str(self.flows.pid)], capture_output=True, text=True, check=True)
        for pid in found.stdout.split():
            os.kill(int(pid), signal.SIGKILL)

    def begin_retrain(self) -> Decision:
        """The world changes, somebody asks for a retrain, and its first fit has begun; it waits there until `let_go`."""
        slow = ("cd", "ab")[self._days // _DAYS % 2 - 1]
        self.workspace.log.append(tiny.history(self._days, self._days + _DAYS, slow=slow), 0)
        self._days += _DAYS
        n_orders = self._days * 24 * tiny.AN_HOUR
        self.wait("the worker applies what came", lambda: self.workspace.books()["orders"].applied >= n_orders)
        self._hold.touch()
        self._hold.with_suffix(held_fit.FITTING).unlink(missing_ok=True)
        decision = self.ask("the world has changed")
        self.wait("a fit begins", self._hold.with_suffix(held_fit.FITTING).exists)
        return decision

    def ask(self, reason: str) -> Decision:
        """A retrain by hand."""
        asker = Asker("ann", f"{reason} {time.monotonic_ns()}")
        return request_retrain(self.workspace, self.workspace.project.models[0], reason, asker)

    def let_go(self) -> None:
        """Let fits go on."""
        self._hold.unlink(missing_ok=True)

    def settled(self, *decisions: Decision) -> list[Decision]:
        """The decisions once they have ended.

        Raises:
            StuckError: not within a quarter of an hour.
        """
        store = self.workspace.decisions
        self.wait("the decisions end", lambda: all(store.get(one.id).state == "finished" for one in decisions))
        return [store.get(one.id) for one in decisions]

    def wait(self, what: str, done: Callable[[], bool]) -> None:
        """Wait until it is so.

        Raises:
            StuckError: not within a quarter of an hour, or a process has ended that should live through everything.
        """
        begin_s = time.monotonic()
        while not done():
            ended = [name for name, process in (("flows", self.flows), ("worker", self.worker)) if process.poll() is not None]
            if ended or time.monotonic() - begin_s > PATIENCE_S:
                tail = (self.folder / "system.log").read_text(errors="replace")[-4_000:]
                raise StuckError(f"not so: {what}; ended: {ended or 'nothing'}\n{tail}")
            time.sleep(_LOOK_S)

    def close(self) -> None:
        """End everything."""
        self.let_go()
        for process in (getattr(self, name, None) for name in ("flows", "worker")):
            if process is not None:
                stop(process)
        self._ending.close()

    def _start(self, line: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(line, cwd=_ROOT, env=os.environ | self._environ, stdout=self._log, stderr=self._log, start_new_session=True)

    def _server(self, name: str) -> Server:
        port, folder = str(self._ports[name]), self.folder
        if name == "prefect":
            line = [program("prefect"), "server", "start", "--host", "127.0.0.1", "--port", port]
            return Server(name, line, f"{self._settings.prefect_api_url}/health", self._environ, folder)
        stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")]
        line = [program("mlflow"), "server", "--host", "127.0.0.1", "--port", port, "--workers", "1", *stores]
        return Server(name, line, f"{self._settings.mlflow_uri}/health", self._environ, folder)
