"""Engine and server killed with -9 while events and questions come in over HTTP: nothing is lost, nothing is counted twice.

```
 poster ──batches, each sent again until it is accepted──► server ✗✗ ──► log ──► engine ✗✗ ──► tiles, books, lake
 asker  ──questions, answers kept──────────────────────────► server ✗✗ ──► predictions
```
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import urllib3

from tests import tiny
from tests.services import child_environ, free_port, log_tail
from tidemill.clock import wall_ms
from tidemill.project import Workspace, project_root
from tidemill.registry import Registry

PROJECT = "from tests import tiny\n\nproject = tiny.named('tiny_recovery')\n"
BATCH = 20
ROUNDS = 3
MOMENT_S = 120.0


@dataclass
class System:
    """A server and an engine on one home, each a process of its own."""

    home: Path
    environ: dict[str, str]
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start `serve` or `work` once more; its output is added to its log."""
        with (self.home / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "tidemill.cli.main", name]
            self.processes[name] = subprocess.Popen(command, cwd=project_root(), env=self.environ, stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        """Kill it as a power cut does."""
        process = self.processes[name]
        assert process.poll() is None, f"{name} ended by itself:\n{log_tail(self.home / f'{name}.log')}"
        process.kill()
        assert process.wait(MOMENT_S) == -signal.SIGKILL

    def wait_ready(self) -> None:
        """Until the server holds its champion."""
        until_s = time.monotonic() + MOMENT_S
        while self.ask("GET", "/readyz") is None:
            assert time.monotonic() < until_s, log_tail(self.home / "serve.log")
            time.sleep(0.05)

    def ask(self, method: str, path: str, body: str | None = None) -> object:
        """The JSON of a 200 answer; None for whatever else becomes of the request."""
        try:
            answer = urllib3.request(method, f"http://127.0.0.1:{self.port}{path}", body=body, retries=False, timeout=30)
        except urllib3.exceptions.HTTPError:
            return None
        return json.loads(answer.data) if answer.status == 200 else None


@dataclass
class Client:
    """Sends until told to stop, and remembers what was promised."""

    system: System
    stop: threading.Event = field(default_factory=threading.Event)
    accepted: list[str] = field(default_factory=list)
    sent_again: int = 0
    answered: dict[int, float] = field(default_factory=dict)

    def post(self) -> None:
        """Batches of orders, each sent until it is accepted."""
        number = 0
        while not self.stop.is_set():
            ids = [f"r{number}-{place}" for place in range(BATCH)]
            body = "\n".join(tiny.order(one, wall_ms()) for one in ids)
            while self.system.ask("POST", "/v1/streams/orders/events", body) is None:
                self.sent_again += 1
                time.sleep(0.05)
            self.accepted += ids
            number += 1

    def question(self) -> None:
        """One question after the other; one that is not answered is not asked again."""
        number = 0
        while not self.stop.is_set():
            number += 1
            asked = json.dumps({"order_id": f"q{number}", "shop": "b", "amount": float(number % 50)})
            answer = self.system.ask("POST", "/v1/models/late_order/predict", asked)
            if isinstance(answer, dict):
                self.answered[int(answer["prediction_id"])] = answer["probability"]
            else:
                time.sleep(0.05)


@pytest.fixture
def system(tmp_path: Path, mlflow_uri: str) -> Iterator[System]:
    """Both processes up, on a home with a past of two days and a champion."""
    file, home, port = tmp_path / "recovery.py", tmp_path / "home", free_port()
    file.write_text(PROJECT)
    workspace, registry = Workspace.open(tiny.named("tiny_recovery"), home), Registry(mlflow_uri, home)
    tiny.live(workspace, 0, 3)
    registry.promote("tiny_recovery.late_order", tiny.train_version(workspace, registry))
    workspace.close()
    ours = {
        "TIDEMILL_HOME": str(home),
        "TIDEMILL_PROJECT": str(file),
        "TIDEMILL_SERVER__PORT": str(port),
        "TIDEMILL_SERVER__OPEN": "true",
        "TIDEMILL_MLFLOW__URI": mlflow_uri,
        "TIDEMILL_ENGINE__LAKE_EVERY_S": "0.3",
        "PYTHONPATH": os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")]),
    }
    system = System(home, child_environ() | ours, port)
    try:
        system.start("work")
        system.start("serve")
        system.wait_ready()
        yield system
    finally:
        for process in system.processes.values():
            process.kill()
            process.wait(MOMENT_S)


@contextmanager
def busy(client: Client) -> Iterator[None]:
    """Keep the client busy while the block runs."""
    threads = [threading.Thread(target=client.post), threading.Thread(target=client.question)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        client.stop.set()
        for thread in threads:
            thread.join(MOMENT_S)
        assert not any(thread.is_alive() for thread in threads)


def let_some_through(client: Client) -> None:
    """Until the server has taken more batches and answered more questions since this moment."""
    accepted, answered, until_s = len(client.accepted), len(client.answered), time.monotonic() + MOMENT_S
    while len(client.accepted) <= accepted + BATCH or len(client.answered) <= answered:
        assert time.monotonic() < until_s, log_tail(client.system.home / "serve.log")
        time.sleep(0.02)


def test_killed_under_load_everything_promised_is_there_once(system: System) -> None:
    client, draw = Client(system), random.Random()
    with busy(client):
        for _ in range(ROUNDS):
            let_some_through(client)
            time.sleep(draw.uniform(0, 1.0))
            system.kill("work")
            system.start("work")
            let_some_through(client)
            time.sleep(draw.uniform(0, 1.0))
            system.kill("serve")
            system.start("serve")
            system.wait_ready()
        let_some_through(client)
    assert client.sent_again > 0, "the server was never missed"
    workspace = Workspace.open(tiny.named("tiny_recovery"), system.home)
    until_s = time.monotonic() + MOMENT_S
    while workspace.books()["orders"].pending:
        assert time.monotonic() < until_s, log_tail(system.home / "work.log")
        time.sleep(0.05)
    system.processes["work"].terminate()
    assert system.processes["work"].wait(MOMENT_S) == 0, log_tail(system.home / "work.log")
    check_events(workspace, client)
    check_predictions(workspace, client)
    workspace.close()


def check_events(workspace: Workspace, client: Client) -> None:
    """Every accepted event is applied and in the lake once, and the books say so."""
    books = workspace.books()["orders"]
    assert books.balanced
    assert (books.late, books.rejected, books.pending) == (0, 0, 0)
    past = 3 * 24 * tiny.AN_HOUR
    assert books.applied == past + len(client.accepted)
    assert books.duplicate % BATCH == 0, "a batch is appended whole or not at all"
    held = workspace.lake.dataset("orders").to_table(columns=["_event_id", "_offset"])
    ids = [one for one in held.column("_event_id").to_pylist() if one.startswith("r")]
    assert sorted(ids) == sorted(client.accepted)
    assert len(set(held.column("_offset").to_pylist())) == past + len(ids)


def check_predictions(workspace: Workspace, client: Client) -> None:
    """Every answer that was given is logged as it was given."""
    served = workspace.predictions.served("late_order")
    said = {score.prediction_id: score.answer.probability for score in workspace.predictions.scores("late_order", served.keys)}
    assert {place: said.get(place) for place in client.answered} == pytest.approx(client.answered)
