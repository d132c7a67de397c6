"""The model that every server of `bench_serving` and `soak` serves: fitted once, and registered as if it had been loaded before."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.serving_project import alone, make_estimator, project
from tidemill.clock import HOUR_MS
from tidemill.drift import profile_reference
from tidemill.kernels import Floats
from tidemill.learning.export import export
from tidemill.learning.foreign_fits import of_sklearn
from tidemill.registry import Registry
from tidemill.stores.held_versions import held_folder

ROWS = 5_000
FILE_STORE = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


@dataclass(frozen=True)
class Registered:
    """Where the versions are.

    Args:
        uri: of the registry, a folder: no MLflow server takes time from what is measured.
        folder: version 1 as MLflow saves it, for other servers: the same trees in ONNX that reads one table, which suits them better.
        rows: (n, 16) vectors to ask about.
        said: by version, (n,) what its estimator says of them, the probability of 1.
    """

    uri: str
    folder: Path
    rows: pd.DataFrame
    said: dict[int, Floats]


def register(home: Path, n_versions: int = 1) -> Registered:
    """Fit versions of both models, each of other outcomes than the one before; the first is the champion.

    Its estimator goes to `home/estimator.skops`.
    """
    import mlflow.onnx
    import onnx
    import skops.io
    from mlflow import MlflowClient

    os.environ |= FILE_STORE
    uri = (home / "registry").as_uri()
    mlflow.set_tracking_uri(uri)  # its files ask whichever server is set, whatever the client says
    client, registry = MlflowClient(uri, uri), Registry(uri, home)
    frame = draw_rows(ROWS, seed=1)
    risk = frame["amount"] / 100 + frame["of_0__sum_24h"] / 2_000
    for model in project.models:
        client.create_registered_model(project.registered_name(model.name))
    said = {}
    for version in range(1, n_versions + 1):
        noise = np.random.default_rng(version).normal(0, 1, ROWS)
        with threadpool_limits(limits=1):  # threads that wait for one another by spinning take forever beside other work
            estimator = make_estimator().fit(frame, (risk + noise > 1.0 + version / 2).astype(int))
        said[version] = np.asarray(estimator.predict_proba(frame)[:, 1], dtype=np.float64)
        content = export(alone, estimator, frame).content
        for model in project.models:
            _hold(client, home, project.registered_name(model.name), version, (content, frame, said[version]))
        if version == 1:
            skops.io.dump(estimator, home / "estimator.skops")
            table = of_sklearn(alone, estimator).onnx
            mlflow.onnx.save_model(onnx.load_model_from_string(table), home / "saved", pip_requirements=["onnxruntime"])
    for model in project.models:
        registry.promote(project.registered_name(model.name), 1)
    return Registered(uri, home / "saved", frame, said)


def draw_rows(n_rows: int, seed: int) -> pd.DataFrame:
    """(n_rows, 16) vectors, as float32 can hold them: counts, sums and maxima of payments."""
    rng = np.random.default_rng(seed)
    columns: dict[str, npt.NDArray[np.float64]] = {
        name: rng.poisson(3.0, n_rows).astype(float) if "__n_" in name else np.round(rng.lognormal(4.0, 1.0, n_rows), 2)
        for name in alone.columns
    }
    return pd.DataFrame({name: column.astype(np.float32).astype(float) for name, column in columns.items()})


def _hold(client: object, home: Path, name: str, version: int, known: tuple[bytes, pd.DataFrame, Floats]) -> None:
    """The files of a version in the home, as a server keeps what it has downloaded, and its number in the registry."""
    from mlflow import MlflowClient

    assert isinstance(client, MlflowClient)
    content, frame, said = known
    folder = held_folder(home, name, version)
    folder.mkdir(parents=True)
    columns = {column: frame[column].to_numpy() for column in frame}
    at_ms = np.arange(len(frame), dtype=np.int64) * HOUR_MS // 10
    (folder / "model.onnx").write_bytes(content)
    (folder / "reference.json").write_text(profile_reference(columns, said, at_ms).to_json())
    (folder / "version.json").write_text(json.dumps({"run_id": f"r{version}", "tags": {"stream_time_ms": "0"}}))
    assert int(client.create_model_version(name, str(folder)).version) == version
