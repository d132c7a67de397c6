"""Models that were fitted elsewhere say the same once they are ours: boosters, estimators, and ONNX files of several makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import xgboost
from onnx import TensorProto, helper
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from tests import tiny
from tidemill import Label, Model, Requests, col
from tidemill.errors import ExportError, InputError
from tidemill.learning import OnnxModel
from tidemill.learning.foreign import Foreign, adopt
from tidemill.learning.foreign_fits import of_lightgbm, of_sklearn, of_xgboost

NUMBERS = ["by_shop__n_3h", "amount", "by_shop__mean_delay_3h"]  # not in the order of the vector
LATE = tiny.LATE_ORDER


def of_task(value: Any, task: Any) -> Model:
    label = Label(tiny.DELIVERIES, key="order_id", value=value, within="6h")
    requests = Requests(tiny.ORDERS, at=col("placed_at"))
    features = tiny.LATE_ORDER.features
    return Model(
        "other", request=tiny.Question, requests=requests, features=features, label=label, estimator=tiny.make_estimator, task=task
    )


DELAY = of_task(col("delay_min"), "regression")
WHICH = of_task(col("shop"), "multiclass")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Vectors, some with missing values, as exact as float32."""
    rng = np.random.default_rng(0)
    drawn = rng.normal(20, 10, (400, 3)).astype(np.float32).astype(float)
    drawn[rng.random(drawn.shape) < 0.1] = np.nan
    columns = pd.DataFrame(drawn, columns=NUMBERS)
    return columns.assign(shop=rng.choice(list("abc"), 400))[list(LATE.columns)]


@pytest.fixture(scope="module")
def outcome(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """0, 1 or 2, by the amount."""
    found: npt.NDArray[np.int64] = np.digitize(frame["amount"].fillna(0.0), [10.0, 25.0])
    return found


def said(model: Model, content: bytes, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    return OnnxModel(content, model.columns).score({name: frame[name].to_numpy() for name in model.columns})


def test_a_booster_of_lightgbm_says_the_same(frame: pd.DataFrame, outcome: npt.NDArray[np.int64], tmp_path: Path) -> None:
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(frame[NUMBERS], outcome > 0), 20)
    booster.save_model(tmp_path / "model.lgb")
    adopted = adopt(LATE, of_lightgbm(LATE, tmp_path / "model.lgb"), frame)
    assert adopted.largest_difference is not None and adopted.largest_difference < 1e-5
    assert np.allclose(said(LATE, adopted.onnx, frame), booster.predict(frame[NUMBERS]), atol=1e-5)


@pytest.mark.parametrize(("model", "objective"), [(LATE, "binary:logistic"), (DELAY, "reg:squarederror")])
def test_a_booster_of_xgboost_says_the_same(
    frame: pd.DataFrame, outcome: npt.NDArray[np.int64], tmp_path: Path, model: Model, objective: str
) -> None:
    table = xgboost.DMatrix(frame[NUMBERS], outcome > 0)
    booster = xgboost.train({"objective": objective, "nthread": 1}, table, 20)
    booster.save_model(tmp_path / "model.ubj")
    adopted = adopt(model, of_xgboost(model, tmp_path / "model.ubj"), frame)
    assert np.allclose(said(model, adopted.onnx, frame), booster.predict(table), atol=1e-5)


@pytest.mark.parametrize("make", ["lightgbm", "xgboost"])
def test_a_booster_tells_several_classes_apart(frame: pd.DataFrame, outcome: npt.NDArray[np.int64], tmp_path: Path, make: str) -> None:
    table = frame[NUMBERS].to_numpy(np.float32)
    if make == "lightgbm":
        trees = lightgbm.LGBMClassifier(n_estimators=15, n_jobs=1, verbose=-1).fit(table, outcome)
        trees.booster_.save_model(tmp_path / "model.lgb")
        foreign = of_lightgbm(WHICH, tmp_path / "model.lgb", NUMBERS)
    else:
        trees = xgboost.XGBClassifier(n_estimators=15, n_jobs=1).fit(table, outcome)
        trees.save_model(tmp_path / "model.ubj")
        foreign = of_xgboost(WHICH, tmp_path / "model.ubj", NUMBERS)
    adopted = adopt(WHICH, replace(foreign, classes=["early", "late", "lost"]), frame)
    scorer = OnnxModel(adopted.onnx, WHICH.columns)
    assert (scorer.task, scorer.classes) == ("multiclass", ("early", "late", "lost"))
    assert np.allclose(said(WHICH, adopted.onnx, frame), trees.predict_proba(table), atol=1e-5)


def test_a_bare_estimator_and_classes_by_name(frame: pd.DataFrame, outcome: npt.NDArray[np.int64]) -> None:
    names = np.array(["early", "late", "lost"])[outcome]
    full = frame.fillna({name: 0.0 for name in NUMBERS})
    forest = RandomForestClassifier(10, random_state=0).fit(full[NUMBERS], names)
    adopted = adopt(WHICH, of_sklearn(WHICH, forest), full)
    scorer = OnnxModel(adopted.onnx, WHICH.columns)
    assert (scorer.task, scorer.classes) == ("multiclass", ("early", "late", "lost"))
    assert np.allclose(said(WHICH, adopted.onnx, full), forest.predict_proba(full[NUMBERS]), atol=1e-5)
    with pytest.raises(ExportError, match="differs from it on"):  # a forest knows missing values, the converter does not
        adopt(WHICH, of_sklearn(WHICH, forest.fit(frame[NUMBERS], names)), frame)


def test_a_pipeline_of_columns_reads_text(frame: pd.DataFrame, outcome: npt.NDArray[np.int64]) -> None:
    fitted = tiny.make_estimator().fit(frame, outcome > 0)
    adopted = adopt(LATE, of_sklearn(LATE, fitted), frame)
    assert np.allclose(said(LATE, adopted.onnx, frame), fitted.predict_proba(frame)[:, 1], atol=1e-5)


def one_node(op: str, kind: int = TensorProto.FLOAT, width: int = 1, **attributes: Any) -> bytes:
    """A graph of one node, from `table` to `told`."""
    node = helper.make_node(op, ["table"], ["told"], **attributes)
    values = [helper.make_tensor_value_info(name, kind, [None, width]) for name in ("table", "told")]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    content: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    return content


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE])
def test_an_onnx_file_that_tells_one_probability(kind: int) -> None:
    rows = pd.DataFrame({name: ["a", "b"] if name == "shop" else [0.5, -1.0] for name in LATE.columns})
    adopted = adopt(LATE, Foreign(one_node("Sigmoid", kind), ["amount"]), rows)
    assert adopted.largest_difference is None
    assert np.allclose(said(LATE, adopted.onnx, rows), 1 / (1 + np.exp([-0.5, 1.0])), atol=1e-6)


def test_an_input_may_have_another_name_and_an_output_ours() -> None:
    rows = pd.DataFrame({name: ["a"] if name == "shop" else [2.0] for name in LATE.columns})
    content = one_node("Sigmoid").replace(b"told", b"said")
    assert np.allclose(said(LATE, adopt(LATE, Foreign(content, renamed={"table": "amount"}), rows).onnx, rows), 0.880797, atol=1e-5)
    value = adopt(DELAY, Foreign(one_node("Identity"), ["amount"]), rows)
    assert said(DELAY, value.onnx, rows).tolist() == [2.0]


def test_what_does_not_fit_is_said(frame: pd.DataFrame, outcome: npt.NDArray[np.int64]) -> None:
    full = frame.fillna({name: 0.0 for name in NUMBERS})
    with pytest.raises(InputError, match="reads one table, 'table', and does not say of which columns"):
        adopt(LATE, Foreign(one_node("Sigmoid")), full)
    with pytest.raises(InputError, match="reads 'colour', which the vector does not have; its columns are shop, amount"):
        adopt(LATE, Foreign(one_node("Sigmoid"), ["colour"]), full)
    with pytest.raises(ExportError, match="tells no probabilities"):
        adopt(LATE, Foreign(one_node("Identity"), ["amount"]), full)
    with pytest.raises(ExportError, match="it has to answer missing values too"):
        adopt(DELAY, Foreign(one_node("Identity"), ["amount"]), frame)
    linear = LogisticRegression(max_iter=500).fit(full[NUMBERS], outcome)
    with pytest.raises(ExportError, match="tells 3 classes apart, and model 'late_order' predicts yes or no"):
        adopt(LATE, of_sklearn(LATE, linear), full)
    other = LinearRegression().fit(full[NUMBERS], outcome)
    told = of_sklearn(DELAY, other)
    wrong = Foreign(told.onnx, told.columns, says=lambda rows: other.predict(rows[NUMBERS]) + 1.0)
    with pytest.raises(ExportError, match="differs from it on 400 of 400 rows"):
        adopt(DELAY, wrong, full)


def test_trees_that_know_missing_values(frame: pd.DataFrame, outcome: npt.NDArray[np.int64]) -> None:
    trees = HistGradientBoostingClassifier(max_iter=10).fit(frame[NUMBERS], outcome > 0)
    adopted = adopt(LATE, of_sklearn(LATE, trees), frame)
    assert np.allclose(said(LATE, adopted.onnx, frame), trees.predict_proba(frame[NUMBERS])[:, 1], atol=1e-5)
