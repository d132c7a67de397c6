"""The model that every server of `bench_serving` serves: fitted once, registered as ours registers, and its estimator beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.serving_project import alone, make_estimator, project
from tidemill.clock import HOUR_MS
from tidemill.drift import Sampling, profile_reference
from tidemill.learning import Model
from tidemill.learning.export import export
from tidemill.registry import Registry
from tidemill.registry.registry import DatasetRef, Release

ROWS = 20_000
_TRUSTED = ("sklearn", "numpy", "scipy", "builtins")


@dataclass(frozen=True)
class Registered:
    """Where the model is.

    Args:
        uri: of the registry, a file of SQLite: no MLflow server takes time from what is measured.
        folder: MLflow's files of it, which `mlflow models serve` is given.
        rows: (n, 16) vectors to ask about.
        said: (n,) what the estimator says of them, the probability of 1.
    """

    uri: str
    folder: Path
    rows: pd.DataFrame
    said: npt.NDArray[np.float64]


def register(home: Path) -> Registered:
    """Fit, export and register it as version 1 and champion of both models; the estimator goes to `home/estimator.skops`."""
    import skops.io
    from mlflow import MlflowClient

    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    frame = draw_rows(ROWS, seed=1)
    risk = frame["amount"] / 100 + frame["of_0__sum_24h"] / 2_000 + np.random.default_rng(2).normal(0, 1, ROWS)
    estimator = make_estimator().fit(frame, (risk > 1.5).astype(int))
    said = estimator.predict_proba(frame)[:, 1]
    skops.io.dump(estimator, home / "estimator.skops")
    uri = f"sqlite:///{home}/mlflow.db"
    client, registry = MlflowClient(uri, uri), Registry(uri, home)
    for model in project.models:
        name = project.registered_name(model.name)
        client.create_experiment(name, artifact_location=(home / "artifacts").as_uri())
        release = _release(model, name, export(model, estimator, frame).content, (frame, said), home)
        registry.promote(name, registry.register(release))
    folder = registry_folder(client, project.registered_name(alone.name))
    return Registered(uri, folder, frame, said)


def registry_folder(client: object, name: str) -> Path:
    """MLflow's own files of the first version."""
    import mlflow

    return Path(mlflow.artifacts.download_artifacts(f"models:/{name}/1"))


def draw_rows(n_rows: int, seed: int) -> pd.DataFrame:
    """(n_rows, 16) vectors, as float32 can hold them: counts, sums and maxima of payments."""
    rng = np.random.default_rng(seed)
    columns: Mapping[str, npt.NDArray[np.float64]] = {
        name: rng.poisson(3.0, n_rows).astype(float) if "__n_" in name else np.round(rng.lognormal(4.0, 1.0, n_rows), 2)
        for name in alone.columns
    }
    return pd.DataFrame({name: column.astype(np.float32).astype(float) for name, column in columns.items()})


def _release(model: Model, name: str, onnx: bytes, known: tuple[pd.DataFrame, npt.NDArray[np.float64]], home: Path) -> Release:
    frame, said = known
    columns = {column: frame[column].to_numpy() for column in model.columns}
    at_ms = np.arange(len(frame), dtype=np.int64) * HOUR_MS // 10
    return Release(
        name=name,
        run_name="bench",
        params={},
        metrics={},
        tags={"stream_time_ms": "0", "task": "binary"},
        onnx=onnx,
        example=frame.head(5),
        reference=profile_reference(columns, said, at_ms, Sampling()).to_json(),
        sample=frame.head(10),
        dataset=DatasetRef("drawn", "0", home, 0),
    )
