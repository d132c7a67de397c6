"""A model with code of its own as a version: imported only where that is enabled, served from its own process, swapped like any other."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests import tiny
from tests.pyfunc_models import USER, make_python, open_folder, save_adds
from tidemill.clock import wall_ms
from tidemill.errors import ConflictError
from tidemill.learning import TrainingSet, fit, vectors_of
from tidemill.learning.export import export
from tidemill.project import Workspace
from tidemill.registry import SHADOW, Registry, snapshot
from tidemill.registry.importing import Import, import_version
from tidemill.serving import Champions, create_app
from tidemill.settings import PyfuncSettings, ServerSettings, Settings

NAME = "tiny_pyfunc.late_order"
READS = ["amount", "by_shop__n_3h"]
PREDICT = "/v1/models/late_order/predict"
ASKED = {"order_id": "q1", "shop": "a", "amount": 20.0}


@dataclass(frozen=True)
class Home:
    """Three days of the tiny project, its labelled rows, and a folder with a model, open to the user it runs as."""

    workspace: Workspace
    registry: Registry
    rows: TrainingSet
    folder: Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[Home]:
    workspace = Workspace.open(tiny.named("tiny_pyfunc"), tmp_path_factory.mktemp("pyfunc"))
    tiny.live(workspace, 0, 3)
    with open_folder() as folder:
        python = make_python(folder / "python")
        save_adds(folder / "model", folder / "open" / "marker", squeezed=True)
        settings = PyfuncSettings(enabled=True, environment=str(python), folder=str(folder / "runs"), start_s=300.0, answer_s=60.0)
        yield Home(workspace, Registry(mlflow_uri, workspace.home, settings), snapshot(workspace, tiny.LATE_ORDER), folder)
    gc.collect()  # an app is a cycle, and the model's process ends with it
    workspace.close()


def test_it_is_refused_where_that_is_not_enabled(home: Home, mlflow_uri: str) -> None:
    wanted = Import(str(home.folder / "model"), READS)
    with pytest.raises(ConflictError, match=r"becomes no ONNX: it runs code of its own.* set TIDEMILL_PYFUNC__ENABLED=true"):
        import_version(home.workspace, Registry(mlflow_uri, home.workspace.home), tiny.LATE_ORDER, lambda: home.rows, wanted)
    assert home.registry.versions(NAME) == []


def test_it_serves_from_its_own_process_is_swapped_and_falls_alone(home: Home, tmp_path: Path) -> None:
    marker = home.folder / "open" / "marker"
    marker.unlink(missing_ok=True)
    fitted = fit(tiny.LATE_ORDER, home.rows)
    (tmp_path / "model.onnx").write_bytes(export(tiny.LATE_ORDER, fitted.estimator, home.rows.frame().head(50)).content)
    plain = import_version(home.workspace, home.registry, tiny.LATE_ORDER, lambda: home.rows, Import(str(tmp_path / "model.onnx")))
    own = import_version(home.workspace, home.registry, tiny.LATE_ORDER, lambda: home.rows, Import(str(home.folder / "model"), READS))
    assert (own.flavor, list(own.reads), own.largest_difference) == ("pyfunc", READS, None)
    assert 0 <= own.figures["auc"] <= 1

    champions = Champions(home.workspace, home.registry, "test")
    home.registry.promote(NAME, plain.version)
    champions.refresh(wall_ms())
    settings = Settings(server=ServerSettings(open=True))
    client = TestClient(create_app(home.workspace, settings, champions), base_url="http://127.0.0.1:8000")
    assert client.post(PREDICT, json=ASKED).json()["model_version"] == plain.version

    home.registry.promote(NAME, own.version)
    serves(champions, own.version, meanwhile=lambda: client.post(PREDICT, json=ASKED))
    told = client.post(PREDICT, json=[ASKED, {**ASKED, "amount": None}]).json()
    assert [one["model_version"] for one in told] == [own.version] * 2
    served = home.workspace.predictions.served("late_order", after_id=int(told[0]["prediction_id"]) - 1)
    sums = np.sum([np.nan_to_num(vectors_of(tiny.LATE_ORDER, served)[name]) for name in READS], axis=0)
    assert [one["probability"] for one in told] == pytest.approx((sums / (1 + sums)).tolist(), abs=1e-6)
    explained = client.post(f"{PREDICT}?explain=true", json=ASKED).json()["explanation"]
    assert explained["contributions"]["amount"] != 0

    refused = client.post(PREDICT, json={**ASKED, "amount": -1.0})  # its process ends in the middle
    assert (refused.status_code, "exit code 3" in refused.text, "Retry-After" in refused.headers) == (503, True, True)
    assert "exit code 3" in client.get("/readyz").text, "until it is up again"

    home.registry.promote(NAME, plain.version)
    home.registry.set_alias(NAME, SHADOW, own.version)
    champions.refresh(wall_ms())  # once: what served before is kept, and a shadow that is down is no reason to fail
    assert client.post(PREDICT, json=ASKED).json()["model_version"] == plain.version
    opened = [line.split() for line in marker.read_text().splitlines()]
    assert len(opened) >= 2 and str(os.getpid()) not in {pid for pid, _, _ in opened}
    assert {uid for _, uid, _ in opened} == {str(USER[0] if USER else os.getuid())}


def serves(champions: Champions, version: int, meanwhile: Callable[[], object]) -> None:
    """Wait until a version serves; nothing that is asked meanwhile fails."""
    end_s = time.monotonic() + 300
    while champions.serving("late_order").champion.version != version:
        assert time.monotonic() < end_s, "it is not served"
        champions.refresh(wall_ms())
        assert meanwhile() is not None
        time.sleep(0.1)
