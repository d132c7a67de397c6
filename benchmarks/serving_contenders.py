"""The servers of `bench_serving`: how each is started, what it is asked, and where its answer says the probability."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import serving_project
from benchmarks.peer import PEERS, environment, prepare
from benchmarks.servers import Command
from benchmarks.serving_model import FILE_STORE, Registered

_BIN = Path(sys.executable).parent
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Contender:
    """One server.

    Args:
        command: how it is started.
        path: where it predicts.
        body: the JSON it is asked with, from rows.
        said: the probabilities in its answer; None where it has no model.
        reads: whether rows are questions, whose features it reads, and not whole vectors.
    """

    command: Command
    path: str
    body: Callable[[pd.DataFrame], object]
    said: Callable[[Any], Sequence[float]] | None
    reads: bool = False


def contenders(home: Path, registered: Registered, *, peers: bool, workers: int = 1) -> dict[str, Contender]:
    """By name, ours last; the same server of ours answers for both models. Each has so many worker processes.

    Raises:
        PeerError: the environment of BentoML cannot be set up.
    """
    found = {"empty route": Contender(_by_uvicorn("empty", {}, workers), "/predict", _known, None)}
    if peers:
        estimator = {"ESTIMATOR": str(home / "estimator.skops"), "OMP_NUM_THREADS": "1"}
        found["sklearn in FastAPI"] = Contender(_by_uvicorn("pipeline", estimator, workers), "/predict", _records, list)
        found["mlflow models serve"] = Contender(_mlflow(registered, workers), "/invocations", _inputs, _of_mlflow)
        found["BentoML"] = Contender(_bentoml(registered, workers), "/predict", _rows, list)
    ours = _ours(home, registered, workers)
    found["ours, model alone"] = Contender(ours, "/v1/models/alone/predict", _known, _of_ours)
    found["ours, 5 views"] = Contender(ours, "/v1/models/with_views/predict", _questions, _of_ours, reads=True)
    return found


def _by_uvicorn(factory: str, environ: Mapping[str, str], workers: int) -> Command:
    def line(port: int) -> Sequence[str]:
        app = f"benchmarks.serving_routes:{factory}"
        how = ["--factory", "--port", str(port), "--workers", str(workers), "--no-access-log", "--log-level", "warning"]
        return [str(_BIN / "uvicorn"), app, *how]

    return Command(factory, line, environ=lambda _port: {**os.environ, "PYTHONPATH": str(_ROOT), **environ})


def _mlflow(registered: Registered, workers: int) -> Command:
    def line(port: int) -> Sequence[str]:
        how = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
        return [str(_BIN / "mlflow"), "models", "serve", "-m", str(registered.folder), *how]

    path = f"{_BIN}:/usr/bin:/bin"  # it looks for its own programs there
    return Command("mlflow models serve", line, "/ping", lambda _port: {**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"})


def _bentoml(registered: Registered, workers: int) -> Command:
    folder = PEERS / "serving"
    python = prepare(folder)

    def line(port: int) -> Sequence[str]:
        serve = [str(python), "-m", "bentoml", "serve", "service:Risk", "--working-dir", str(folder)]
        return [*serve, "--host", "127.0.0.1", "--port", str(port)]

    apart = {
        **environment(None),
        "MODEL": str(registered.folder / "model.onnx"),
        "WORKERS": str(workers),
        "BENTOML_HOME": str(registered.folder / "bentoml"),
    }
    return Command("BentoML", line, "/readyz", lambda _port: {**apart, "BENTOML_DO_NOT_TRACK": "true"})


def _ours(home: Path, registered: Registered, workers: int) -> Command:
    file = str(Path(serving_project.__file__).resolve())

    def environ(port: int) -> Mapping[str, str]:
        settings = {"HOME": str(home), "SERVER__PORT": str(port), "SERVER__OPEN": "true", "MLFLOW__URI": registered.uri}
        settings["SERVER__WORKERS"] = str(workers)
        settings["SERVER__POLL_CHAMPION_S"] = "10"  # the registry is a folder of YAML, which takes ten times as long to read as a server
        return os.environ | FILE_STORE | {f"TIDEMILL_{name}": value for name, value in settings.items()}

    return Command("tidemill", lambda _port: [str(_BIN / "tidemill"), "serve", "--project", file], "/readyz", environ)


def _rows(rows: pd.DataFrame) -> object:
    return {"rows": rows.to_numpy().tolist()}


def _records(rows: pd.DataFrame) -> object:
    return rows.to_dict("records")


def _inputs(rows: pd.DataFrame) -> object:
    return {"inputs": rows.to_numpy().tolist()}


def _known(rows: pd.DataFrame) -> object:
    return _one_or_many([{"payment_id": f"p{place}", **row} for place, row in zip(rows.index, rows.to_dict("records"), strict=True)])


def _questions(rows: pd.DataFrame) -> object:
    return _one_or_many(rows.to_dict("records"))


def _one_or_many(requests: list[dict[str, Any]]) -> object:
    return requests[0] if len(requests) == 1 else requests


def _of_mlflow(answer: Any) -> list[float]:
    return [row[1] for row in answer["predictions"]["probabilities"]]


def _of_ours(answer: Any) -> list[float]:
    return [row["probability"] for row in (answer if isinstance(answer, list) else [answer])]


def encoded(contender: Contender, rows: pd.DataFrame) -> bytes:
    """The body of one request about some rows."""
    return json.dumps(contender.body(rows), separators=(",", ":")).encode()
