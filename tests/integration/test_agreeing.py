"""Processes of two servers, of two homes on one PostgreSQL, agree on the champion, whoever is told of a promotion, and without a restart.

```
 POST /promote ─► one process ─► alias in the registry ◄── look every second ── the other process of that server, the other server
```
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import mlflow
import pytest
from mlflow import MlflowClient

from tests import tiny
from tests.databases import fresh_databases
from tests.held import hold_version
from tests.served import PATIENCE_S
from tests.services import Server, free_port, program, running
from tidemill.project import Workspace
from tidemill.registry import Registry, snapshot
from tidemill.settings import ServerSettings

NAME = "tiny.late_order"
AGREE_S = 2.0
ASKED = {"order_id": "q1", "shop": "a", "amount": 20.0}


COUNTED = re.compile(r'^tidemill_predictions_total\{model="late_order",process="(\d+)"\} (\d+)\.0$', re.M)
N_WORKERS, VERSIONS = 2, range(1, 8)
_PAUSE_S = 0.01
_SETTLED_S = 1.5  # a process tells the others what it has counted every second


@dataclass(frozen=True)
class Answer:
    """What a process said: when it was asked, when it had answered (of the monotonic clock), and by which version."""

    asked_s: float
    answered_s: float
    version: int


@dataclass(frozen=True)
class Servers:
    """Server a of several processes, server b of one, and the registry that all follow."""

    urls: tuple[str, str]
    registry: Registry

    def act(self, server: int, path: str, body: object = None) -> dict[str, Any]:
        """Ask a server to promote or to roll back; answers what came of it."""
        answer = httpx.post(f"{self.urls[server]}/v1/models/late_order/{path}", json=body, timeout=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    @contextmanager
    def connected(self) -> Iterator[list[httpx.Client]]:
        """A connection to each process: it stays with the one that took it, which the counts of all tell."""
        with ExitStack() as stack:
            found: dict[str, httpx.Client] = {}
            until_s = time.monotonic() + PATIENCE_S
            while len(found) < N_WORKERS:
                assert time.monotonic() < until_s, found
                client = stack.enter_context(_client(self.urls[0]))
                found.setdefault(self._takes(client), client)
            yield [*found.values(), stack.enter_context(_client(self.urls[1]))]

    def _takes(self, client: httpx.Client) -> str:
        """The process that answers this connection; its counts are up to a second old."""
        before = self._settled()
        _version(client)
        until_s = time.monotonic() + PATIENCE_S
        while not (more := [process for process, count in self._counted().items() if count > before.get(process, 0)]):
            assert time.monotonic() < until_s, before
            time.sleep(0.1)
        return more[0]

    def _settled(self) -> dict[str, int]:
        """What was counted, once what was asked before is in it."""
        counted: dict[str, int] = {}
        until_s = time.monotonic() + PATIENCE_S
        while (now := self._counted()) != counted:
            assert time.monotonic() < until_s, now
            counted = now
            time.sleep(_SETTLED_S)
        return counted

    def _counted(self) -> dict[str, int]:
        said = httpx.get(f"{self.urls[0]}/metrics", timeout=PATIENCE_S).text
        return {process: int(count) for process, count in COUNTED.findall(said)}


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=PATIENCE_S, limits=httpx.Limits(max_connections=1, keepalive_expiry=None))


def _version(server: httpx.Client) -> int:
    answer = server.post("/v1/models/late_order/predict", json=ASKED)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["model_version"])


def _ask_on(server: httpx.Client, stop: threading.Event) -> list[Answer]:
    """Ask a process again and again."""
    found = []
    while not stop.wait(_PAUSE_S):
        asked_s = time.monotonic()
        version = _version(server)
        found.append(Answer(asked_s, time.monotonic(), version))
    return found


@contextmanager
def asking(clients: list[httpx.Client]) -> Iterator[list[list[Answer]]]:
    """Every process is asked again and again while the block runs; after it, what each of them said."""
    stop, found = threading.Event(), list[list[Answer]]()
    with ThreadPoolExecutor(len(clients)) as threads:
        futures = [threads.submit(_ask_on, client, stop) for client in clients]
        try:
            yield found
        finally:
            stop.set()
    found.extend(future.result() for future in futures)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Servers]:
    """All serve version 1 of some; they look at the registry as often as they do by default."""
    folder = tmp_path_factory.mktemp("agreeing")
    uri = (folder / "registry").as_uri()
    with fresh_databases(postgres_url, folder / "a") as databases, ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, {"MLFLOW_ALLOW_FILE_STORE": "true"}))
        mlflow.set_tracking_uri(uri)  # its files ask whichever server is set, whatever the client says
        stack.callback(mlflow.set_tracking_uri, "")
        with closing(Workspace.open(tiny.project, databases.home, database=databases.url)) as workspace:
            tiny.live(workspace, 0, 2)
            rows = snapshot(workspace, tiny.LATE_ORDER)
            for number in VERSIONS:
                hold_version(workspace, number, rows)
        shutil.copytree(folder / "a" / "models", folder / "b" / "models")
        client = MlflowClient(uri, uri)
        client.create_registered_model(NAME)
        for number in VERSIONS:
            client.create_model_version(NAME, str(folder / "a" / "models" / NAME / str(number)))
        registry = Registry(uri, folder / "a")
        registry.promote(NAME, 1)
        both = [_server(folder, name, databases.url or "", uri, n) for name, n in (("a", N_WORKERS), ("b", 1))]
        for server in both:
            stack.enter_context(running(server))
        a, b = (server.health_url.removesuffix("/readyz") for server in both)
        yield Servers((a, b), registry)


def _server(folder: Path, name: str, database: str, uri: str, n_workers: int) -> Server:
    port = free_port()
    ours = {
        "HOME": str(folder / name),
        "PROJECT": str(tiny.FILE),
        "PROFILE": "server",
        "DATABASE__URL": database,
        "MLFLOW__URI": uri,
        "SERVER__PORT": str(port),
        "SERVER__OPEN": "true",
        "SERVER__WORKERS": str(n_workers),
    }
    return Server(
        name=name,
        command=[program("tidemill"), "serve"],
        health_url=f"http://127.0.0.1:{port}/readyz",
        environ={f"TIDEMILL_{key}": value for key, value in ours.items()} | {"MLFLOW_ALLOW_FILE_STORE": "true"},
        folder=folder / name,
    )


def test_whoever_is_asked_all_processes_have_the_new_champion_when_it_answers(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    assert ServerSettings().poll_champion_s <= AGREE_S / 2, "a look and a load have to fit into two seconds"
    took = []
    with servers.connected() as processes:
        for new in VERSIONS[1:]:  # none of them has been loaded
            assert [_version(process) for process in processes] == [new - 1] * (N_WORKERS + 1)
            with asking(processes) as told:
                begin_s = time.monotonic()
                assert servers.act(new % 2, "promote", {"version": new})["outcome"] == "promoted"
                end_s = time.monotonic()
                time.sleep(0.3)
            assert all({answer.version for answer in answers if answer.asked_s > end_s} == {new} for answers in told)
            assert all(_never_goes_back(answers, new) for answers in told)
            last_s = max(answer.answered_s for answers in told for answer in answers if answer.version != new)
            took.append((last_s - begin_s, end_s - begin_s))
            assert all(_version(client) == new for client in _connections(servers, 10))
    assert min(last_s for last_s, _ in took) <= AGREE_S, "one of them had the machine for itself"
    with capsys.disabled():
        print()
        for what, figures in zip(("the last answer by the old version", "promoted"), zip(*took, strict=True), strict=True):
            print(f"{what}, seconds after it was asked for: {' '.join(f'{figure:.2f}' for figure in figures)}")


def test_they_agree_on_a_rollback_and_on_what_is_done_in_mlflow(servers: Servers) -> None:
    with servers.connected() as processes:
        for version in (1, 2):
            servers.registry.promote(NAME, version)
            wait_for(version, processes)
        assert servers.act(1, "rollback")["to_version"] == "1"
        assert [_version(process) for process in processes] == [1] * (N_WORKERS + 1)
        servers.registry.promote(NAME, 2)  # as somebody would in MLflow, and no server is told
        wait_for(2, processes)


def wait_for(version: int, processes: list[httpx.Client]) -> None:
    """Until every process answers with a version."""
    until_s = time.monotonic() + PATIENCE_S
    while (said := [_version(process) for process in processes]) != [version] * len(processes):
        assert time.monotonic() < until_s, said
        time.sleep(0.05)


def _never_goes_back(answers: list[Answer], new: int) -> bool:
    versions = [answer.version for answer in answers]
    return versions == sorted(versions, key=lambda version: version == new)


def _connections(servers: Servers, n: int) -> Iterator[httpx.Client]:
    """New ones, which whichever process takes."""
    for place in range(n):
        with _client(servers.urls[place % 2]) as client:
            yield client
