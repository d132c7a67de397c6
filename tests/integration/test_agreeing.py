"""Two servers of two homes on one PostgreSQL agree on the champion, whoever is told of a promotion, and without a restart.

```
 POST /promote ─► server a ─► alias in the registry ◄── looks every second ── server b
```
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import httpx
import mlflow
import numpy as np
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


@dataclass(frozen=True)
class Two:
    """Two servers, and the registry that both follow."""

    servers: tuple[httpx.Client, httpx.Client]
    registry: Registry

    def wait_for(self, version: int) -> None:
        """Until both answer with a version."""
        until_s = time.monotonic() + PATIENCE_S
        while (said := [_version(server) for server in self.servers]) != [version] * 2:
            assert time.monotonic() < until_s, said
            time.sleep(0.05)


def _version(server: httpx.Client) -> int:
    answer = server.post("/v1/models/late_order/predict", json=ASKED)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["model_version"])


@pytest.fixture
def two(tmp_path: Path, postgres_url: str) -> Iterator[Two]:
    """Both serve version 1 of 2; they look at the registry as often as they do by default."""
    uri = (tmp_path / "registry").as_uri()
    with fresh_databases(postgres_url, tmp_path / "a") as databases, ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, {"MLFLOW_ALLOW_FILE_STORE": "true"}))
        mlflow.set_tracking_uri(uri)  # its files ask whichever server is set, whatever the client says
        stack.callback(mlflow.set_tracking_uri, "")
        with closing(Workspace.open(tiny.project, databases.home, database=databases.url)) as workspace:
            tiny.live(workspace, 0, 2)
            rows = snapshot(workspace, tiny.LATE_ORDER)
            hold_version(workspace, 1, rows)
            hold_version(workspace, 2, rows.rows(np.arange(len(rows)) < len(rows) // 3))
        shutil.copytree(tmp_path / "a" / "models", tmp_path / "b" / "models")
        client = MlflowClient(uri, uri)
        client.create_registered_model(NAME)
        for number in ("1", "2"):
            client.create_model_version(NAME, str(tmp_path / "a" / "models" / NAME / number))
        registry = Registry(uri, tmp_path / "a")
        registry.promote(NAME, 1)
        both = [_server(tmp_path, name, databases.url or "", uri) for name in ("a", "b")]
        for server in both:
            stack.enter_context(running(server))
        http = [
            stack.enter_context(httpx.Client(base_url=server.health_url.removesuffix("/readyz"), timeout=PATIENCE_S)) for server in both
        ]
        yield Two((http[0], http[1]), registry)


def _server(folder: Path, name: str, database: str, uri: str) -> Server:
    port = free_port()
    ours = {
        "HOME": str(folder / name),
        "PROJECT": str(tiny.FILE),
        "PROFILE": "server",
        "DATABASE__URL": database,
        "MLFLOW__URI": uri,
        "SERVER__PORT": str(port),
        "SERVER__OPEN": "true",
    }
    return Server(
        name=name,
        command=[program("tidemill"), "serve"],
        health_url=f"http://127.0.0.1:{port}/readyz",
        environ={f"TIDEMILL_{key}": value for key, value in ours.items()} | {"MLFLOW_ALLOW_FILE_STORE": "true"},
        folder=folder / name,
    )


def test_two_servers_agree_on_the_champion(two: Two) -> None:
    assert ServerSettings().poll_champion_s <= AGREE_S / 2, "a look and a load have to fit into two seconds"
    two.wait_for(1)
    answer = two.servers[0].post("/v1/models/late_order/promote", json={"version": 2})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "promoted")
    assert [_version(server) for server in two.servers] == [2, 2], "a promotion is answered once every server serves it"
    answer = two.servers[1].post("/v1/models/late_order/rollback")
    assert (answer.status_code, answer.json()["to_version"]) == (200, "1")
    assert [_version(server) for server in two.servers] == [1, 1], "from the other one back"
    two.registry.promote(NAME, 2)  # as somebody would in MLflow, and no server is told
    two.wait_for(2)
