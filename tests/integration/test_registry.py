"""The registry on a real MLflow server: versions, aliases, files, deploying and reports."""

from __future__ import annotations

import json
import math
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from tests import tiny
from tests.services import free_port
from tidemill.clock import wall_ms
from tidemill.drift import ReferenceProfile
from tidemill.errors import NotFoundError, NotReadyError
from tidemill.learning import OnnxModel
from tidemill.project import Workspace
from tidemill.registry import (
    CHALLENGER,
    CHAMPION,
    FITS,
    FROZEN,
    KEPT_REPORTS,
    PREVIOUS,
    REPORT,
    Asker,
    Registry,
    carry_out,
    deploy,
    gate,
    make_ready,
    register,
    request_rollback,
    snapshot,
    train,
)
from tidemill.registry.deploying import HEARD_OF_MS
from tidemill.registry.training import WORTH_A_FIT
from tidemill.serving import Champions

NAME = "tiny_registry.late_order"


@dataclass(frozen=True)
class Trained:
    """A workspace of three days with two versions registered, none of them promoted by training."""

    workspace: Workspace
    registry: Registry
    uri: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[Trained]:
    """Two versions of one model."""
    home = tmp_path_factory.mktemp("registry")
    workspace, registry = Workspace.open(tiny.named("tiny_registry"), home), Registry(mlflow_uri, home)
    assert registry.versions(NAME) == []
    assert registry.alias(NAME, CHAMPION) is None
    tiny.live(workspace, 0, 3)
    assert [tiny.train_version(workspace, registry) for _ in range(2)] == [1, 2]
    yield Trained(workspace, registry, mlflow_uri)
    workspace.close()


@pytest.fixture
def promoted(trained: Trained) -> Trained:
    """Version 2 serves, after version 1 did."""
    for version in (1, 2):
        trained.registry.promote(NAME, version)
    return trained


def test_a_run_holds_all_that_one_asks_for_later(trained: Trained) -> None:
    version = trained.registry.load(NAME, 1)
    run = MlflowClient(trained.uri).get_run(version.run_id)
    assert {"estimator", "rows_fitted", "rows_judged", "from", "to"} <= set(run.data.params)
    assert {"auc", "log_loss", "onnx_largest_difference"} <= set(run.data.metrics)
    assert {"code_version", "source_digest", "lake_versions", "stream_time_ms", "trigger"} <= set(version.tags)
    assert json.loads(version.tags["lake_versions"]).keys() == {"orders", "deliveries"}
    assert run.inputs is not None
    (dataset,) = run.inputs.dataset_inputs
    assert len(dataset.dataset.digest) == 16
    assert version.tags["source_digest"] == tiny.LATE_ORDER.source_digest


def test_few_newest_rows_are_not_worth_another_fit(trained: Trained) -> None:
    model = trained.workspace.project.models[0]
    rows = snapshot(trained.workspace, model)
    judged = gate(model, train(trained.workspace, trained.registry, model, rows))
    fitted, verdict = judged.best.fitted, replace(judged.judgement.verdict, promote=True)
    n_rows = len(fitted.train)
    for n_newest, fits in ((math.ceil(n_rows * WORTH_A_FIT), 1), (math.ceil(n_rows * WORTH_A_FIT) - 1, 0)):
        newest = fitted.gate.rows(np.arange(len(fitted.gate)) < n_newest)
        best = replace(judged.best, fitted=replace(fitted, gate=newest, said=fitted.said[:n_newest]))
        ready = make_ready(model, replace(judged, judgement=replace(judged.judgement, verdict=verdict), best=best), rows)
        assert ready.fits == judged.fits + fits
        assert (ready.fitted.estimator is fitted.estimator) == (fits == 0)
        assert ("% more than it has learnt from" in ready.refit.get("why", "")) == (fits == 0)


def test_what_passes_the_gate_learns_from_all_rows_and_what_fails_is_kept_as_it_was_judged(trained: Trained) -> None:
    workspace, registry = Workspace.open(tiny.named("tiny_refit"), trained.workspace.home), trained.registry
    model = workspace.project.models[0]
    rows = snapshot(workspace, model)
    challenger = train(workspace, registry, model, rows)
    judged = gate(model, challenger)
    for promoted in (True, False):
        verdict = replace(judged.judgement.verdict, promote=promoted)
        ready = make_ready(model, replace(judged, judgement=replace(judged.judgement, verdict=verdict)), rows)
        version = registry.load("tiny_refit.late_order", register(workspace, registry, model, ready, {}))
        run = MlflowClient(trained.uri).get_run(version.run_id)
        n_judged, learnt = int(run.data.params["rows_judged"]), int(run.data.params["rows_fitted"])
        assert n_judged == len(judged.best.fitted.gate)
        assert learnt == (len(rows) if promoted else len(rows) - n_judged)
        assert (version.tags["refitted"], version.tags[FITS]) == (("true", "2") if promoted else ("false", "1"))
        assert run.data.metrics["log_loss"] == pytest.approx(judged.best.fitted.quality.log_loss)
        assert ReferenceProfile.from_json(version.reference).n_rows == learnt
    workspace.close()


def test_a_version_is_downloaded_once_and_scores(trained: Trained) -> None:
    version = trained.registry.load(NAME, 1)
    content = version.onnx
    shutil.rmtree(version.folder)
    again = trained.registry.load(NAME, 1)
    assert again.onnx == content
    scored = OnnxModel(again.onnx, tiny.LATE_ORDER.columns).score(
        {
            "shop": np.array(["a", "e"], dtype=object),
            "amount": np.array([50.0, np.nan]),
            "by_shop__mean_delay_3h": np.array([np.nan, 3.0]),
            "by_shop__n_3h": np.array([0.0, 9.0]),
        }
    )
    assert scored[0] > scored[1]
    assert {column.name for column in ReferenceProfile.from_json(again.reference).columns} >= {"amount", "by_shop__n_3h"}
    assert {"prediction", "outcome", "at_ms", "shop"} <= set(again.sample.columns)
    assert Registry("http://127.0.0.1:1", trained.workspace.home).load(NAME, 1).onnx == again.onnx, "a cached one needs no server"


def test_files_of_another_version_of_the_same_number_are_not_served(trained: Trained) -> None:
    registry = Registry(trained.uri, trained.workspace.home)
    held = registry.load(NAME, 1)
    (held.folder / "version.json").write_text(json.dumps({"run_id": "another", "tags": {}}))  # as if MLflow had been begun anew
    assert registry.load(NAME, 1).run_id == "another", "it is not asked before it has answered"
    registry.named(NAME)
    assert registry.load(NAME, 1).run_id == held.run_id


def test_aliases_follow_a_promotion(promoted: Trained) -> None:
    registry = promoted.registry
    assert [registry.alias(NAME, alias) for alias in (CHAMPION, PREVIOUS, FROZEN, CHALLENGER)] == [2, 1, 1, 2]
    assert registry.promote(NAME, 2) == 1, "a second time changes nothing"
    assert registry.alias(NAME, PREVIOUS) == 1


def test_the_first_deployment_waits_for_a_server_that_serves_nothing_yet(trained: Trained, tmp_path: Path) -> None:
    workspace, registry = Workspace.open(tiny.named("tiny_first"), tmp_path), trained.registry
    tiny.live(workspace, 0, 3)
    version = tiny.train_version(workspace, registry)
    champions = Champions(workspace, registry, "up")
    champions.refresh(wall_ms())
    with pytest.raises(NotReadyError, match="not served by up"):
        deploy(workspace, registry, tiny.LATE_ORDER, version, timeout_s=0.3)
    champions.refresh(wall_ms())
    assert deploy(workspace, registry, tiny.LATE_ORDER, version) == {"up": version}
    champions.stop()
    assert deploy(workspace, registry, tiny.LATE_ORDER, version) == {}, "who ends says so"
    workspace.close()


def test_a_rollback_swaps_champion_and_previous(promoted: Trained) -> None:
    workspace, registry = promoted.workspace, promoted.registry
    decision = request_rollback(workspace, registry, tiny.LATE_ORDER, Asker("ann", "run-1"))
    assert workspace.decisions.claim(decision.id, "run-1", wall_ms())
    assert carry_out(workspace, registry, tiny.LATE_ORDER, decision, "run-1")
    ended = workspace.decisions.get(decision.id)
    assert (ended.act, ended.outcome, ended.from_version, ended.to_version, ended.decided_by) == (
        "rollback",
        "rolled_back",
        "2",
        "1",
        "ann",
    )
    assert [promoted.registry.alias(NAME, alias) for alias in (CHAMPION, PREVIOUS, FROZEN)] == [1, 2, 1]


def test_deploying_waits_until_every_server_confirms(promoted: Trained) -> None:
    store = promoted.workspace.predictions
    for server in ("quick", "slow"):
        store.confirm(server, "late_order", 2, wall_ms())
    store.confirm("quick", "late_order", 1, wall_ms())
    with pytest.raises(NotReadyError, match="not served by slow"):
        deploy(promoted.workspace, promoted.registry, tiny.LATE_ORDER, 1, timeout_s=0.3)
    later = threading.Timer(0.3, store.confirm, ["slow", "late_order", 1, wall_ms()])
    later.start()
    assert deploy(promoted.workspace, promoted.registry, tiny.LATE_ORDER, 1) == {"quick": 1, "slow": 1}
    later.join()
    store.confirm("killed", "late_order", 2, wall_ms() - HEARD_OF_MS + 500)
    assert deploy(promoted.workspace, promoted.registry, tiny.LATE_ORDER, 1) == {"quick": 1, "slow": 1}, "it falls silent"


def test_an_unknown_version_is_named_with_those_there_are(promoted: Trained) -> None:
    with pytest.raises(NotFoundError, match=r"99.*there is: 1, 2"):
        promoted.registry.set_alias(NAME, CHAMPION, 99)


def test_a_server_that_is_down_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = Registry(f"http://127.0.0.1:{free_port()}", tmp_path)
    for ask in (lambda: registry.alias(NAME, CHAMPION), lambda: registry.versions(NAME), lambda: registry.load(NAME, 1)):
        with pytest.raises(NotReadyError, match="MLflow at"):
            ask()


def test_only_the_newest_reports_are_kept(trained: Trained) -> None:
    pages = [{REPORT: f"<p>{n}</p>", "summary.html": "<p>rows</p>"} for n in range(KEPT_REPORTS + 2)]
    runs = [trained.registry.log_report(NAME, f"report {n}", page, {"share": n}, {}) for n, page in enumerate(pages)]
    client = MlflowClient(trained.uri)
    stages = [client.get_run(run).info.lifecycle_stage for run in runs]
    assert stages == ["deleted"] * 2 + ["active"] * KEPT_REPORTS
    assert trained.registry.report_url(runs[-1]).startswith(trained.uri)
    assert Path(client.download_artifacts(runs[-1], REPORT)).read_text() == f"<p>{KEPT_REPORTS + 1}</p>"
    assert [len(client.list_artifacts(run)) for run in (runs[-1], runs[0])] == [2, 0]
