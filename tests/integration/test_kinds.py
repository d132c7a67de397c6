"""Models of several classes and of a number, from training to the alarm on a change, with a real registry and the real application."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pytest
from fastapi.testclient import TestClient

from tests import parcels
from tests.documented import Document
from tidemill.clock import DAY_MS, wall_ms
from tidemill.drift import Alarm
from tidemill.learning import Model, OnnxModel
from tidemill.loop.messages import prediction_message
from tidemill.project import Workspace
from tidemill.registry import Registry, gate, make_ready, register, snapshot, train
from tidemill.registry.deciding import data_fault
from tidemill.serving import Champions, create_app
from tidemill.serving.monitors import OutcomeWatch
from tidemill.settings import ServerSettings, Settings
from tidemill.ui import OverviewReader, page_router

FIRST, CHANGED, END = 3, 5, 9  # days: the first that is served, the first of the changed world, and the one after the last


@dataclass
class Run:
    """What the days came to: by model the last answers and all alarms."""

    workspace: Workspace
    registry: Registry
    champions: Champions
    client: TestClient
    answers: dict[str, list[dict[str, Any]]]
    alarms: dict[str, list[Alarm]]

    def ask(self, model: Model, day: int) -> list[dict[str, Any]]:
        """Answers about all parcels of a day, asked at its begin."""
        path = f"/v1/models/{model.name}/predict?at={parcels.START_MS + day * DAY_MS}"
        answer = self.client.post(path, content=orjson.dumps(parcels.questions(day)))
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found


def happen(workspace: Workspace, day: int, *, changed: bool = False) -> None:
    """A day goes by."""
    workspace.log.append(parcels.happen(day, changed=changed), 0)
    workspace.engine().drain(10_000)
    workspace.lake_writer().flush()


def train_version(workspace: Workspace, registry: Registry, model: Model) -> int:
    """Train, and promote where the gate lets it; answers the version."""
    rows = snapshot(workspace, model)
    challenger = train(workspace, registry, model, rows)
    judged = gate(model, challenger)
    version = register(workspace, registry, model, make_ready(model, judged, rows), {"trigger": "test"})
    assert judged.judgement.verdict.promote, judged.judgement.verdict.reason
    registry.promote(workspace.project.registered_name(model.name), version)
    return version


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[Run]:
    """Three days to learn from, two served that are like them, and four in which the world is another."""
    home = tmp_path_factory.mktemp("kinds")
    workspace, registry = Workspace.open(parcels.project, home), Registry(mlflow_uri, home)
    for day in range(FIRST):
        happen(workspace, day)
    assert [train_version(workspace, registry, model) for model in parcels.project.models] == [1, 1]
    champions = Champions(workspace, registry, "test")
    champions.refresh(wall_ms())
    settings = Settings(server=ServerSettings(open=True, replay=True))
    app = create_app(workspace, settings, champions, page_router(OverviewReader(workspace, settings).read))
    watches = {model.name: OutcomeWatch(workspace, registry, model) for model in parcels.project.models}
    made = Run(workspace, registry, champions, TestClient(app, base_url="http://127.0.0.1:8000"), {}, {name: [] for name in watches})
    for day in range(FIRST, END):
        for model in parcels.project.models:
            made.answers[model.name] = made.ask(model, day)
        happen(workspace, day, changed=day >= CHANGED)
        for name, watch in watches.items():
            made.alarms[name] += watch.step()
    yield made
    workspace.close()


def test_an_answer_holds_what_suits_the_task(run: Run) -> None:
    one, other = run.answers["fate"][0], run.answers["days"][0]
    assert set(one) == {"prediction_id", "prediction", "probabilities", "model_version", "position"}
    assert set(one["probabilities"]) == {"arrived", "late", "lost"}
    assert one["prediction"] == max(one["probabilities"], key=one["probabilities"].__getitem__)
    assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert set(other) == {"prediction_id", "prediction", "value", "model_version", "position"}
    assert other["prediction"] == other["value"]
    heavy = [answer["value"] for answer, asked in zip(run.answers["days"], parcels.questions(END - 1), strict=True) if asked["weight"] > 9]
    assert np.mean(heavy) == pytest.approx(1 + 0.5 * 9.5, abs=0.3)


def test_the_docs_show_what_a_model_answers(run: Run) -> None:
    document = Document(run.client.get("/openapi.json").json())
    spec = document.routes["POST /v1/models/{model}/predict"]
    answers = spec["responses"]["200"]["content"]["application/json"]["examples"]
    requests = spec["requestBody"]["content"]["application/json"]["examples"]
    for model in parcels.project.models:
        assert set(answers[model.name]["value"]) == set(run.answers[model.name][0])
        model.request.model_validate(requests[model.name]["value"])
        assert run.client.get(f"/v1/models/{model.name}").json()["task"] == model.objective.task
        assert not document.misfits("POST /v1/models/{model}/predict", "200", run.answers[model.name])
        for path in ("drift", "quality", "release"):
            answer = run.client.get(f"/v1/models/{model.name}/{path}")
            assert not document.faults(f"GET /v1/models/{{model}}/{path}", 200, answer.headers["content-type"], answer.content)


def test_quality_and_page_tell_the_figures_of_the_task(run: Run) -> None:
    until_ms = parcels.START_MS + CHANGED * DAY_MS
    found = {}
    for model in parcels.project.models:
        judged = run.workspace.quality.judged(model.name, model.label, 0, until_ms)
        found[model.name] = model.objective.quality(judged.outcome, judged.said).figures
        assert len(judged.outcome) == 2 * (CHANGED - FIRST) * parcels.A_DAY, "of the champion and of the frozen one"
    assert set(found["fate"]) == {"auc", "log_loss", "accuracy"}
    assert found["fate"]["accuracy"] > 0.8 and found["fate"]["auc"] > 0.85
    assert set(found["days"]) == {"mae", "rmse", "r2"}
    assert found["days"]["mae"] == pytest.approx(0.4, abs=0.05) and found["days"]["r2"] > 0.8
    page = run.client.get("/").text
    assert "Accuracy by week" in page and "MAE by week" in page
    series = run.client.get("/ui/series/days.json").json()
    assert set(series["live"]) == {"mae", "rmse", "r2"}
    first = run.client.get("/v1/models/days/quality").json()["windows"][0]
    assert first["estimated"]["mae"]["value"] == pytest.approx(found["days"]["mae"], abs=0.08), "as training has learnt it"
    assert "MAE, estimated and real" in page


def test_the_guard_finds_no_fault_in_outcomes_of_either_kind(run: Run) -> None:
    for model in parcels.project.models:
        served = run.registry.load(run.workspace.project.registered_name(model.name), 1)
        assert len(run.workspace.state.newest_outcomes(model.name, 1_000)) == 1_000
        assert data_fault(run.workspace, model, served) == ""


def test_a_changed_world_raises_the_alarm_and_nothing_before_does(run: Run) -> None:
    changed_ms = parcels.START_MS + CHANGED * DAY_MS
    for name, detector in (("fate", "error"), ("days", "size")):
        alarms = run.alarms[name]
        assert alarms and all(alarm.at_ms >= changed_ms for alarm in alarms), alarms
        first = next(alarm for alarm in alarms if alarm.detector == detector)
        assert first.since_ms >= changed_ms - DAY_MS // 2
        asked = run.workspace.decisions.recent(name)
        assert {decision.trigger for decision in asked} == {"error"}
        assert {"error": "were wrong", "size": "were off by"}[detector] in first.detail


def test_what_is_published_is_what_was_answered(run: Run) -> None:
    said = {one.model: one for one in run.workspace.predictions.said(0, 100_000)}
    for name, answers in run.answers.items():
        body = orjson.loads(prediction_message("parcels", said[name]).value)
        answer = next(one for one in answers if one["prediction_id"] == body["prediction_id"])
        for field in set(answer) - {"model_version", "position", "probabilities"}:
            assert body[field] == answer[field]
        assert body.get("probabilities", {}) == pytest.approx(answer.get("probabilities", {}), abs=1e-6)


def test_a_next_version_knows_a_class_that_the_first_did_not(run: Run) -> None:
    model = parcels.FATE
    assert train_version(run.workspace, run.registry, model) == 2
    run.champions.refresh(wall_ms())
    happen(run.workspace, END, changed=True)
    happened_ms = run.workspace.now_ms()
    answers = run.ask(model, END + 1)
    assert set(answers[0]["probabilities"]) == {"arrived", "late", "lost", "returned"}
    happen(run.workspace, END + 1, changed=True)
    judged = run.workspace.quality.judged(model.name, model.label, happened_ms, happened_ms + 2 * DAY_MS)
    assert judged.classes == ("arrived", "late", "lost", "returned")
    champion, frozen = judged.of_role("champion"), judged.of_role("frozen")
    assert set(champion.version) == {2} and set(frozen.version) == {1}
    assert not frozen.said[:, 3].any() and champion.said[:, 3].mean() > 0.01
    versions = [run.registry.load("parcels.fate", number) for number in (1, 2)]
    assert [OnnxModel(version.onnx, model.columns).classes for version in versions] == [judged.classes[:3], judged.classes]
    assert orjson.loads(versions[1].tags["classes"]) == list(judged.classes)
