"""The pipeline must say the same in ONNX as in scikit-learn, for rows with missing numbers and for names never seen."""

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import skl2onnx
from skl2onnx.common import _container
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.pipeline import Pipeline

from examples.flights.estimator import make_estimator
from examples.flights.tables import read_flights, read_planes

TEXTS = ("carrier", "origin", "dest")


@pytest.fixture(scope="module")
def vectors() -> tuple[pd.DataFrame, pd.Series]:
    """Real rows; two columns named as a view's features are, one of them missing for every other row."""
    table = read_flights().dropna(subset=["arr_delay"]).iloc[::40].reset_index(drop=True)
    table = table.join(read_planes().set_index("tailnum"), on="tailnum")
    columns: dict[str, Any] = {name: table[name].astype(object) for name in TEXTS}
    columns |= {name: table[name].astype(np.float32) for name in ("distance_mi", "built", "seats")}
    columns["origin_departures.mean_delay_1h"] = table["dep_delay"].shift(3).astype(np.float32)
    columns["aircraft_arrivals.n_24h"] = table["dep_delay"].where(table.index % 2 == 0).astype(np.float32)
    return pd.DataFrame(columns), (table["arr_delay"] >= 15).astype(int)


@pytest.fixture(scope="module")
def fitted(vectors: tuple[pd.DataFrame, pd.Series]) -> Pipeline:
    X, y = vectors
    return make_estimator().fit(X.iloc[:6_000], y.iloc[:6_000])


def _plain(value: Any) -> Any:
    if isinstance(value, bool | np.bool_ | np.integer):
        return int(value)
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _probabilities(pipeline: Pipeline, X: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> np.ndarray[Any, Any]:
    # skl2onnx 1.20 hands numpy integers and booleans to onnx, which refuses them
    make_node = _container.make_node
    monkeypatch.setattr(_container, "make_node", lambda *args, **named: make_node(*args, **{name: _plain(v) for name, v in named.items()}))
    types = [(name, StringTensorType([None, 1]) if name in TEXTS else FloatTensorType([None, 1])) for name in X.columns]
    model = skl2onnx.convert_sklearn(pipeline, initial_types=types, options={id(pipeline): {"zipmap": False}})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    # by place, not by name: the converter turns the dots of column names into underscores
    inputs = [put.name for put in session.get_inputs()]
    arrays = [X[name].to_numpy(object if name in TEXTS else np.float32).reshape(-1, 1) for name in X.columns]
    return np.asarray(session.run(["probabilities"], dict(zip(inputs, arrays, strict=True)))[0])


def test_onnx_says_what_scikit_learn_says(
    fitted: Pipeline, vectors: tuple[pd.DataFrame, pd.Series], monkeypatch: pytest.MonkeyPatch
) -> None:
    X = vectors[0].iloc[6_000:].reset_index(drop=True)
    assert X.isna().any().sum() >= 3
    for name, unseen in zip(TEXTS, ("ZZ", "XXX", "QQQ"), strict=True):
        X.loc[: len(X) // 3, name] = unseen
        X.loc[len(X) // 3 : len(X) // 2, name] = ""
    expected = fitted.predict_proba(X)
    assert np.ptp(expected[:, 1]) > 0.3
    assert np.abs(_probabilities(fitted, X, monkeypatch) - expected).max() < 1e-5


def test_it_learns_from_what_it_reads(fitted: Pipeline, vectors: tuple[pd.DataFrame, pd.Series]) -> None:
    X, y = (part.iloc[6_000:] for part in vectors)
    late, on_time = (fitted.predict_proba(X[y == outcome])[:, 1].mean() for outcome in (1, 0))
    assert late > on_time + 0.1


def test_it_is_made_of_scikit_learn_alone(fitted: Pipeline) -> None:
    parts = [step for _, step in fitted.steps] + [encoder for _, encoder, _ in fitted.named_steps["encode"].transformers_]
    assert {type(part).__module__.partition(".")[0] for part in parts} == {"sklearn"}
