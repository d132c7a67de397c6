"""Predicting over HTTP from versions that the home holds, with MLflow down: what answers, what is logged, what is told beside it."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests import tiny
from tests.held import hold_version, name_versions
from tidemill.clock import HOUR_MS
from tidemill.errors import UnavailableError
from tidemill.learning import OnnxModel, vectors_of
from tidemill.project import Workspace
from tidemill.registry import Registry, snapshot
from tidemill.serving import Champions, create_app
from tidemill.serving.canary import Canary
from tidemill.settings import ServerSettings, Settings

PREDICT = "/v1/models/late_order/predict"
ASKED = {"order_id": "q1", "shop": "a", "amount": 20.0}
NOWHERE = "http://127.0.0.1:9"
Answers = list[dict[str, Any]]


@dataclass(frozen=True)
class Past:
    """A workspace of two days with two held versions, 1 and 2."""

    workspace: Workspace
    scorers: dict[int, OnnxModel]

    def client(self, versions: dict[str, int], canary_percent: float = 5.0) -> TestClient:
        """A server that starts from these aliases, as told when MLflow was up."""
        name_versions(self.workspace, versions, canary_percent)
        champions = Champions(self.workspace, Registry(NOWHERE, self.workspace.home), "test")
        champions.refresh(0)
        settings = Settings(server=ServerSettings(open=True, replay=True, max_explained=20))
        return TestClient(create_app(self.workspace, settings, champions), base_url="http://127.0.0.1:8000")

    def last(self, n: int) -> list[dict[str, tuple[int, float]]]:
        """By role, what was logged of the last predictions."""
        served = self.workspace.predictions.served("late_order", after_id=self.workspace.predictions.last_id() - n)
        by_id: dict[int, dict[str, tuple[int, float]]] = {prediction_id: {} for prediction_id in served.ids.tolist()}
        for score in self.workspace.predictions.scores("late_order", served.keys):
            if score.prediction_id in by_id:
                by_id[score.prediction_id][score.role] = (score.version, score.answer.probability or 0.0)
        return list(by_id.values())


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    workspace = Workspace.open(tiny.project, tmp_path_factory.mktemp("home"))
    tiny.live(workspace, 0, 2)
    rows = snapshot(workspace, tiny.LATE_ORDER)
    half = rows.rows(np.arange(len(rows)) < len(rows) // 3)
    yield Past(workspace, {1: hold_version(workspace, 1, rows), 2: hold_version(workspace, 2, half)})
    workspace.close()
    patch.undo()


def questions(n: int) -> Answers:
    return [{"order_id": f"k{place}", "shop": tiny.SHOPS[place % 5], "amount": float(place % 90)} for place in range(n)]


@pytest.fixture
def ask(past: Past) -> Callable[[TestClient, Any], Answers]:
    def asked(client: TestClient, body: Any) -> Answers:
        answer = client.post(PREDICT, json=body)
        assert answer.status_code == 200, answer.text
        told: Answers = answer.json()
        return told

    return asked


def test_a_server_starts_from_what_the_home_holds_while_mlflow_is_down(past: Past) -> None:
    client = past.client({"champion": 2, "frozen": 1, "previous": 1})
    assert client.get("/readyz").status_code == 200
    assert client.post(PREDICT, json=ASKED).json()["model_version"] == 2


def test_who_could_not_log_an_answer_is_not_ready(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    name_versions(past.workspace, {"champion": 2}, 5.0)
    champions = Champions(past.workspace, Registry(NOWHERE, past.workspace.home), "test")
    champions.refresh(0)
    client = TestClient(create_app(past.workspace, Settings(server=ServerSettings(open=True)), champions), base_url="http://127.0.0.1:8000")

    def full(*_given: object) -> None:
        raise UnavailableError("serving.db cannot be used just now: database or disk is full")

    with monkeypatch.context() as patched, pytest.raises(UnavailableError):
        patched.setattr(past.workspace.predictions, "confirm", full)
        champions.refresh(1)
    answer = client.get("/readyz")
    assert (answer.status_code, "disk is full" in answer.text) == (503, True)
    with suppress(UnavailableError):  # of the registry, which is away
        champions.refresh(2)
    assert client.get("/readyz").status_code == 200


def test_ten_thousand_rows_are_answered_and_logged_in_order(past: Past, ask: Callable[[TestClient, Any], Answers]) -> None:
    client = past.client({"champion": 1})
    many = questions(10_000)
    told = ask(client, many)
    served = past.workspace.predictions.served("late_order", after_id=int(told[0]["prediction_id"]) - 1)
    assert served.keys == [one["order_id"] for one in many]
    assert served.ids.tolist() == [int(one["prediction_id"]) for one in told]
    np.testing.assert_allclose([one["probability"] for one in told], past.scorers[1].score(vectors_of(tiny.LATE_ORDER, served)), atol=1e-6)
    refused = client.post(PREDICT, json=questions(10_001))
    assert (refused.status_code, "send 1 to 10000" in refused.text) == (422, True)


def test_what_is_missing_is_flagged_with_its_age(past: Past, ask: Callable[[TestClient, Any], Answers]) -> None:
    client = past.client({"champion": 1})
    here, unknown, bare = ask(client, [ASKED, {**ASKED, "shop": "nobody"}, {**ASKED, "amount": None}])
    assert "missing" not in here
    newest_ms = past.workspace.state.last_event_ms()["deliveries"]
    assert unknown["missing"] == {"by_shop__mean_delay_3h": past.workspace.now_ms() - newest_ms}
    assert bare["missing"] == {"amount": None}
    later = client.post(f"{PREDICT}?at={past.workspace.now_ms() + 12 * HOUR_MS}", json=ASKED).json()
    assert later["missing"]["by_shop__mean_delay_3h"] >= 12 * HOUR_MS, "the stream has been silent"


def test_an_answer_is_explained_where_that_is_asked_for(past: Past) -> None:
    client = past.client({"champion": 1})
    plain, one = client.post(PREDICT, json=ASKED).json(), client.post(f"{PREDICT}?explain=true", json=ASKED).json()
    assert "explanation" not in plain
    why = one["explanation"]
    assert why["scale"] == "log_odds"
    assert set(why["contributions"]) == set(tiny.LATE_ORDER.columns)
    assert why["typical"] + sum(why["contributions"].values()) + why["unexplained"] == pytest.approx(why["said"])
    assert why["said"] == pytest.approx(np.log(one["probability"] / (1 - one["probability"])), abs=1e-4)
    assert abs(why["unexplained"]) < 1e-3, "a linear model adds up"
    assert len(client.post(f"{PREDICT}?explain=true", json=questions(20)).json()) == 20
    refused = client.post(f"{PREDICT}?explain=true", json=questions(21))
    assert (refused.status_code, refused.json()["error"]["where"]) == (422, "explain")


def test_a_shadow_scores_everything_and_answers_nothing(past: Past, ask: Callable[[TestClient, Any], Answers]) -> None:
    told = ask(past.client({"champion": 1, "shadow": 2}), questions(40))
    logged = past.last(40)
    assert {one["model_version"] for one in told} == {1}
    assert [one["probability"] for one in told] == [pytest.approx(roles["champion"][1]) for roles in logged]
    assert all(set(roles) == {"champion", "shadow"} and roles["shadow"][0] == 2 for roles in logged)
    assert any(abs(roles["shadow"][1] - roles["champion"][1]) > 0.001 for roles in logged)


def test_a_canary_answers_its_share_of_the_keys_and_the_champion_is_logged_beside(
    past: Past, ask: Callable[[TestClient, Any], Answers]
) -> None:
    client = past.client({"champion": 1, "canary": 2}, 30)
    many = questions(200)
    told, logged = ask(client, many), past.last(200)
    takes = Canary("tiny.late_order:2", 30).takes
    assert [one["model_version"] for one in told] == [2 if takes(one["order_id"]) else 1 for one in many]
    assert 30 < sum(one["model_version"] == 2 for one in told) < 90
    for one, roles in zip(told, logged, strict=True):
        assert set(roles) == {"champion", "canary"} if one["model_version"] == 2 else {"champion"}
        assert one["probability"] == pytest.approx(roles["canary" if one["model_version"] == 2 else "champion"][1])
    again = ask(client, list(reversed(many)))
    assert [one["model_version"] for one in reversed(again)] == [one["model_version"] for one in told], "sticky"
    said = past.workspace.predictions.said(past.workspace.predictions.last_id() - 200, 200)
    assert [one.version for one in said] == [one["model_version"] for one in again]
    assert [one.answer.probability for one in said] == pytest.approx([one["probability"] for one in again])
    why = client.post(f"{PREDICT}?explain=true", json=many[:20]).json()
    assert {one["model_version"] for one in why} == {1, 2}
    for one in why:
        assert one["explanation"]["said"] == pytest.approx(np.log(one["probability"] / (1 - one["probability"])), abs=1e-4)


def test_a_version_beside_that_cannot_be_loaded_does_not_keep_the_champion_from_answering(past: Past) -> None:
    client = past.client({"champion": 1, "shadow": 77, "canary": 78, "frozen": 79})
    assert client.post(PREDICT, json=ASKED).json()["model_version"] == 1
    assert client.get("/v1/models/late_order").json()["versions"] == {"champion": 1}


def test_objects_without_brackets_are_no_request(past: Past) -> None:
    client = past.client({"champion": 1})
    before = past.workspace.predictions.count("late_order")
    body = ",".join([json.dumps(ASKED)] * 2)
    refused = client.post(PREDICT, content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 422 and "brackets" in refused.json()["error"]["what"]
    assert past.workspace.predictions.count("late_order") == before, "two would be logged, and one told"


def test_of_many_that_are_wrong_the_first_is_told_and_no_more_are_looked_at(past: Past) -> None:
    client = past.client({"champion": 1})
    tracemalloc.start()
    refused = client.post(PREDICT, content=b"[" + b"{}," * 1_000_000 + b"{}]", headers={"content-type": "application/json"})
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.status_code == 422 and refused.json()["error"]["where"].startswith("0.")
    assert most_bytes < 100_000_000, "an error of each takes some kilobytes"


def test_the_docs_show_keys_and_lines_of_events_that_are_taken(past: Past) -> None:
    client = past.client({"champion": 1})
    paths = client.get("/openapi.json").json()["paths"]
    keys = paths["/v1/features/{view}"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    lines = paths["/v1/streams/{stream}/events"]["post"]["requestBody"]["content"]["application/x-ndjson"]["examples"]
    assert keys and lines
    for view, shown in keys.items():
        assert client.post(f"/v1/features/{view}", json=shown["value"]).status_code == 200
    for stream, shown in lines.items():
        taken = client.post(f"/v1/streams/{stream}/events", content=shown["value"], headers={"content-type": "application/x-ndjson"})
        assert (taken.status_code, taken.json()["rejected"]) == (200, []), taken.text


def test_the_docs_show_requests_and_answers_as_they_are(past: Past) -> None:
    client = past.client({"champion": 1})
    spec = client.get("/openapi.json").json()["paths"][PREDICT.replace("late_order", "{model}")]["post"]
    request = spec["requestBody"]["content"]["application/json"]["examples"]["late_order"]["value"]
    answers = spec["responses"]["200"]["content"]["application/json"]["examples"]
    told = client.post(PREDICT, json={**request, "shop": "a"}).json()
    assert {name: type(value) for name, value in told.items()} == {
        name: type(value) for name, value in answers["late_order"]["value"].items()
    }
    why = client.post(f"{PREDICT}?explain=true", json={**request, "amount": None}).json()
    shown = answers["late_order, explained"]["value"]
    assert set(why) == set(shown) and set(why["explanation"]) == set(shown["explanation"])
    for status, body in ((422, [1]), (422, "no")):
        refused = client.post(PREDICT, json=body)
        assert refused.status_code == status
        example = spec["responses"][str(status)]["content"]["application/json"]["example"]
        assert set(refused.json()["error"]) == set(example["error"])
