"""A model from elsewhere becomes a version like any other: from an MLflow server or a file, checked, registered, served."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import lightgbm
import mlflow
import numpy as np
import onnx
import pytest
import skops.io
import xgboost
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from tests import tiny
from tidemill.cli.main import app
from tidemill.clock import wall_ms
from tidemill.errors import InputError, NotFoundError
from tidemill.learning import TrainingSet, fit
from tidemill.learning.export import export
from tidemill.project import Workspace
from tidemill.registry import CHALLENGER, CHAMPION, Registry, snapshot
from tidemill.registry.importing import Import, import_version
from tidemill.serving import Champions

NAME = "tiny_imported.late_order"
NUMBERS = ["by_shop__n_3h", "amount"]


@dataclass(frozen=True)
class Home:
    """Three days of the tiny project, and its labelled rows."""

    workspace: Workspace
    registry: Registry
    rows: TrainingSet
    uri: str


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[Home]:
    """A project that has labels and no version yet."""
    workspace = Workspace.open(tiny.named("tiny_imported"), tmp_path_factory.mktemp("imported"))
    tiny.live(workspace, 0, 3)
    yield Home(workspace, Registry(mlflow_uri, workspace.home), snapshot(workspace, tiny.LATE_ORDER), mlflow_uri)
    workspace.close()


def test_a_registered_booster_becomes_the_champion(home: Home) -> None:
    frame = home.rows.frame()[NUMBERS]
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(frame, home.rows.outcome), 20)
    mlflow.set_tracking_uri(home.uri)
    with mlflow.start_run():
        mlflow.lightgbm.log_model(booster, name="model", registered_model_name="elsewhere", pip_requirements=["lightgbm"])
    found = import_version(home.workspace, home.registry, tiny.LATE_ORDER, lambda: home.rows, Import("models:/elsewhere/1"))
    assert (found.flavor, sorted(found.reads)) == ("lightgbm", sorted(NUMBERS))
    assert 0.5 < found.figures["auc"] <= 1 and found.largest_difference is not None and found.largest_difference < 1e-5
    assert home.registry.alias(NAME, CHALLENGER) == found.version
    assert home.registry.alias(NAME, CHAMPION) is None, "it serves nothing yet"

    home.registry.promote(NAME, found.version)
    champions = Champions(home.workspace, home.registry, "test")
    champions.refresh(wall_ms())
    served = champions.serving("late_order").champion
    gate = home.rows.rows(np.arange(len(home.rows)) < 50)
    assert np.allclose(served.scorer.score(gate.columns), booster.predict(frame.head(50)), atol=1e-5)
    assert home.registry.load(NAME, found.version).tags["imported_from"] == "models:/elsewhere/1"


def test_a_file_by_command_and_a_pickle_only_where_it_is_trusted(home: Home, tmp_path: Path) -> None:
    model = LogisticRegression().fit(home.rows.frame()[NUMBERS].fillna(0.0), home.rows.outcome)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    with pytest.raises(InputError, match="is a pickle, and opening one runs whatever it holds"):
        import_version(home.workspace, home.registry, tiny.LATE_ORDER, lambda: home.rows, Import(str(tmp_path / "model.pkl")))

    fitted = tiny.make_estimator().fit(home.rows.frame(), home.rows.outcome)
    skops.io.dump(fitted, tmp_path / "model.skops")
    project = tmp_path / "project.py"
    project.write_text("from tests import tiny\nproject = tiny.named('tiny_imported')\n")
    environ = {"TIDEMILL_HOME": str(home.workspace.home), "TIDEMILL_MLFLOW__URI": home.uri}
    with patch.dict(os.environ, environ):
        told = CliRunner().invoke(app, ["import", "late_order", str(tmp_path / "model.skops"), "--project", str(project), "--json"])
        assert told.exit_code == 0, told.output
        found = json.loads(told.stdout)
        assert (found["flavor"], set(found["reads"])) == ("sklearn", set(tiny.LATE_ORDER.columns))
        assert home.registry.alias(NAME, CHALLENGER) == found["version"]
    assert home.workspace.acts.recent(1)[0].act == "import"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (Import("gone.onnx"), NotFoundError, r"no file 'gone\.onnx'"),
        (Import("models:/nobody/1"), NotFoundError, "models:/nobody/1 in MLflow"),
        (Import("model.onnx", renamed={"amount": "price"}), InputError, "it reads 'price', which the vector does not have"),
    ],
)
def test_what_is_wrong_with_it_is_told_before_the_rows_are_made(
    home: Home, given: Import, error: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fitted = fit(tiny.LATE_ORDER, home.rows)
    Path("model.onnx").write_bytes(export(tiny.LATE_ORDER, fitted.estimator, home.rows.frame().head(50)).content)

    def too_soon() -> TrainingSet:
        raise AssertionError("the rows were made first")

    with pytest.raises(error, match=said):
        import_version(home.workspace, home.registry, tiny.LATE_ORDER, too_soon, given)


@pytest.mark.parametrize("flavor", ["xgboost", "lightgbm", "sklearn", "onnx"])
def test_what_mlflow_has_logged_is_read_by_its_flavor(home: Home, flavor: str, tmp_path: Path) -> None:
    """A run's model, and a registered one: a booster of XGBoost, an estimator of LightGBM or scikit-learn kept as skops, and ONNX."""
    frame = home.rows.frame()
    mlflow.set_tracking_uri(home.uri)
    with mlflow.start_run() as run:
        if flavor == "xgboost":
            booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(frame[NUMBERS], home.rows.outcome), 10)
            said = booster.predict(xgboost.DMatrix(frame[NUMBERS].head(50)))
            mlflow.xgboost.log_model(booster, name="model", pip_requirements=["xgboost"])
        elif flavor == "lightgbm":
            estimator = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1).fit(frame[NUMBERS], home.rows.outcome)
            said = np.asarray(estimator.predict_proba(frame[NUMBERS].head(50)))[:, 1]
            mlflow.lightgbm.log_model(estimator, name="model", pip_requirements=["lightgbm"])
        else:
            fitted = fit(tiny.LATE_ORDER, home.rows)
            said = np.asarray(fitted.estimator.predict_proba(frame.head(50)))[:, 1]
            if flavor == "sklearn":
                kept = {"serialization_format": "skops", "skops_trusted_types": skops_types(fitted.estimator, tmp_path / "model.skops")}
                mlflow.sklearn.log_model(fitted.estimator, name="model", pip_requirements=["scikit-learn"], **kept)
            else:
                exported = onnx.load_from_string(export(tiny.LATE_ORDER, fitted.estimator, frame.head(50)).content)
                mlflow.onnx.log_model(exported, name="model", pip_requirements=["onnx"])
    found = import_version(home.workspace, home.registry, tiny.LATE_ORDER, lambda: home.rows, Import(f"runs:/{run.info.run_id}/model"))
    assert found.flavor == flavor
    scorer = home.registry.open(home.registry.load(NAME, found.version), tiny.LATE_ORDER.columns)
    gate = home.rows.rows(np.arange(len(home.rows)) < 50)
    assert np.allclose(scorer.score(gate.columns), said, atol=1e-5)


def skops_types(estimator: object, path: Path) -> list[str]:
    """What MLflow is told to trust: the types that the file holds."""
    skops.io.dump(estimator, path)
    return list(skops.io.get_untrusted_types(file=path))
