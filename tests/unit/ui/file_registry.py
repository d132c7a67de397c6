"""A registry of MLflow's own files for the ferry line: real aliases, and no server that takes seconds to start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import mlflow
from mlflow import MlflowClient

from tidemill.registry import Registry

NAME = "ferries.late_ferry"


@contextmanager
def file_registry(home: Path, *, versions: int = 2) -> Iterator[Registry]:
    """A registry in which versions of the ferry's model stand, the last one the champion and the one before it previous."""
    uri = f"file:{home / 'mlflow'}"
    with patch.dict(os.environ, {"MLFLOW_ALLOW_FILE_STORE": "true"}):
        mlflow.set_tracking_uri(uri)  # its files ask whichever server is set, whatever the client says
        client = MlflowClient(uri, uri)
        client.create_registered_model(NAME)
        for number in range(1, versions + 1):
            client.create_model_version(NAME, f"{home}/models/{NAME}/{number}")
        registry = Registry(uri, home)
        for number in range(1, versions + 1):
            registry.promote(NAME, number)
        registry.named(NAME)  # which the home remembers, and the page reads
        yield registry
        mlflow.set_tracking_uri("")
