"""One real Prefect server and one real MLflow server a session, each in its own temporary folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.kinesis_feeds import KinesisServer, KinesisWorld
from tests.services import Server, free_port, program, running


@pytest.fixture(scope="session")
def prefect_api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API URL of a Prefect server; hand it to what you start as `PREFECT_API_URL`."""
    folder, port = tmp_path_factory.mktemp("prefect"), free_port()
    url = f"http://127.0.0.1:{port}/api"
    server = Server(
        name="prefect",
        command=[program("prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        health_url=f"{url}/health",
        environ={
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PREFECT_SERVER_UI_SERVE_BASE": "/prefect",
            "PREFECT_SERVER_UI_API_URL": "/prefect/api",
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "ui"),
            "DO_NOT_TRACK": "true",
        },
        folder=folder,
    )
    with running(server):
        yield url


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The tracking and registry URI of an MLflow server."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    url = f"http://127.0.0.1:{port}"
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")]
    server = Server(
        name="mlflow",
        command=[program("mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *stores],
        health_url=f"{url}/health",
        environ={"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        folder=folder,
    )
    with running(server):
        yield url


@pytest.fixture
def worlds(kinesis: KinesisServer) -> Iterator[Callable[..., KinesisWorld]]:
    """Makes data streams of so many shards, each with a writer and a copy."""
    made: list[KinesisWorld] = []

    def make(n_shards: int, **options: Any) -> KinesisWorld:
        made.append(KinesisWorld(kinesis, n_shards, **options))
        return made[-1]

    yield make
    for each in made:
        each.restart()
    for told in kinesis.control.iterdir():
        told.unlink()
