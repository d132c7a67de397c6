"""The OpenAPI document says of every route what it answers, and every route answers what the document says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mlflow
import numpy as np
import pytest
from fastapi.testclient import TestClient
from mlflow import MlflowClient

from tests import parcels, tabled, tiny
from tests.documented import JSON, Document
from tests.held import hold_version
from tidemill import Project, Stream
from tidemill.clock import wall_ms
from tidemill.project import Workspace
from tidemill.registry import Registry, snapshot
from tidemill.serving import Champions, Keyring, create_app
from tidemill.serving.feature_watch import FeatureWatch
from tidemill.serving.monitors import OutcomeWatch
from tidemill.serving.scopes import ROUTES
from tidemill.settings import ServerSettings, Settings
from tidemill.stores import Act, ApiKey
from tidemill.stores.api_key import check_scopes, hash_of, new_text, prefix_of

BASE = "http://127.0.0.1:8000"
NAME = "tiny.late_order"
PREDICT = "POST /v1/models/{model}/predict"
FILLED = {"stream": "orders", "view": "by_shop", "key": "a", "model": "late_order"}
BARE = Project("bare", streams=[Stream("orders", schema=tiny.Order, event_time="placed_at", event_id="order_id")])
DAY = 24 * tiny.AN_HOUR
ASKED = [{"order_id": f"o{2 * DAY + place}", "shop": "abcde"[place % 5], "amount": 20.0} for place in range(250)]


def document(project: Project, home: Path) -> Document:
    workspace = Workspace.open(project, home)
    champions = Champions(workspace, Registry("http://127.0.0.1:9", home), "test")
    made = create_app(workspace, Settings(server=ServerSettings(open=True)), champions).openapi()
    workspace.close()
    return Document(made)


@pytest.fixture(scope="module", params=[tiny.project, parcels.project, tabled.project, BARE], ids=lambda project: project.name)
def described(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Document:
    return document(request.param, tmp_path_factory.mktemp("described"))


def test_every_route_of_programs_is_in_the_document(described: Document) -> None:
    programs = {name for name in ROUTES if name.split(" ")[1].startswith("/v1/")} | {"GET /healthz", "GET /readyz", "GET /metrics"}
    assert set(described.routes) == programs


def test_every_answer_has_a_schema_that_says_something(described: Document) -> None:
    for route, said in described.routes.items():
        (kind, told), *others = said["responses"]["200"]["content"].items()
        assert not others, route
        assert kind == JSON or (route, kind) == ("GET /metrics", "text/plain")
        assert not described.is_empty(told["schema"]), f"nothing is said of what {route} answers"


def test_a_schema_that_says_nothing_is_told_from_one_that_does() -> None:
    shut = {"type": "object", "properties": {"a": {}}}
    of = Document({"paths": {}, "components": {"schemas": {"Shut": shut, "Open": {"type": "object", "additionalProperties": True}}}})
    ref = "#/components/schemas/"
    assert all(of.is_empty(one) for one in ({}, {"type": "array", "items": {}}, {"anyOf": [shut, {}]}, {"$ref": f"{ref}Open"}))
    assert not any(of.is_empty(one) for one in (shut, {"type": "array", "items": shut}, {"$ref": f"{ref}Shut"}, {"type": "string"}))


def test_every_refusal_has_the_one_form_and_an_example(described: Document) -> None:
    shown = {(route, status) for route, status, _ in described.examples()}
    for route, said in described.routes.items():
        assert {"403", "421", "429", "503"} <= set(said["responses"])
        for status in set(said["responses"]) - {"200"}:
            assert (route, status) in shown
            schema = said["responses"][status]["content"][JSON]["schema"]
            assert "#/components/schemas/Refusal" in str(schema), (route, status)
    assert not any("ValidationError" in name for name in described.made["components"]["schemas"])


def test_every_example_is_an_answer_as_its_schema_has_it(described: Document) -> None:
    faults = [fault for route, status, value in described.examples() for fault in described.misfits(route, status, value)]
    assert not faults


def test_a_body_of_predictions_is_of_a_models_request(described: Document) -> None:
    shown = list(described.bodies(PREDICT))
    assert len(shown) == len([name for name in described.made["components"]["schemas"] if "." in name])
    assert all(described.takes(PREDICT, one) and described.takes(PREDICT, [one, one]) for one in shown)
    assert not any(described.takes(PREDICT, {"nothing": 1}) or described.takes(PREDICT, []) for _ in shown)


def test_every_route_shows_what_it_answers(tmp_path: Path) -> None:
    described = document(tiny.project, tmp_path)
    shown = {route for route, status, _ in described.examples() if status == "200"}
    assert shown == set(described.routes) - {"GET /metrics"}


@dataclass
class Site:
    """A server of which anything can be asked, with what it answered."""

    workspace: Workspace
    client: TestClient
    keys: dict[str, str]
    document: Document

    def ask(self, route: str, *, key: str = "all", filled: dict[str, str] | None = None, **what: Any) -> tuple[int, Any]:
        """Status and JSON of an answer, which must be as the document says."""
        method, path = route.split(" ")
        for name, value in {**FILLED, **(filled or {})}.items():
            path = path.replace(f"{{{name}}}", value)
        headers = {"authorization": f"Bearer {self.keys[key]}"} if key else {}
        answer = self.client.request(method, path, headers={**headers, **what.pop("headers", {})}, **what)
        kind = answer.headers["content-type"]
        assert not self.document.faults(route, answer.status_code, kind, answer.content)
        return answer.status_code, answer.json() if kind == JSON else answer.text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server whose model has two versions, was asked, and knows what came of it; its monitors have looked."""
    home, uri = tmp_path_factory.mktemp("site"), f"file:{tmp_path_factory.mktemp('mlflow')}"
    workspace = Workspace.open(tiny.project, home)
    tiny.live(workspace, 0, 2)
    rows = snapshot(workspace, tiny.LATE_ORDER)
    hold_version(workspace, 1, rows)
    hold_version(workspace, 2, rows.rows(np.arange(len(rows)) < len(rows) // 3))
    keys = {}
    for name, scopes in (("all", ("read", "predict", "ingest", "operate")), ("ingest", ("ingest",))):
        keys[name] = new_text()
        workspace.keys.add(ApiKey(prefix_of(keys[name]) or "", name, check_scopes([*scopes]), "tiny", "ann", 1), hash_of(keys[name]))
    workspace.acts.record(Act("ann", "cli", "freeze", "late_order", "a holiday", wall_ms()))
    with patch.dict(os.environ, {"MLFLOW_ALLOW_FILE_STORE": "true"}):
        mlflow.set_tracking_uri(uri)  # its files ask whichever server is set, whatever the client says
        client = MlflowClient(uri, uri)
        client.create_registered_model(NAME)
        for number in ("1", "2"):
            client.create_model_version(NAME, f"{home}/models/{NAME}/{number}")
        registry = Registry(uri, home)
        registry.promote(NAME, 1)
        champions = Champions(workspace, registry, "test")
        champions.refresh(0)
        app = create_app(workspace, Settings(server=ServerSettings(replay=True)), champions, keyring=Keyring(workspace.keys))
        made = Site(workspace, TestClient(app, base_url=BASE, raise_server_exceptions=False), keys, Document(app.openapi()))
        assert made.ask("POST /v1/models/{model}/predict", json=ASKED)[0] == 200
        tiny.live(workspace, 2, 3)
        OutcomeWatch(workspace, registry, tiny.LATE_ORDER).step()
        FeatureWatch(workspace, registry, tiny.LATE_ORDER).step()
        yield made
        mlflow.set_tracking_uri("")
    workspace.close()


def test_every_route_answers_what_the_document_says(site: Site) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "POST /v1/streams/{stream}/events": {"json": [{"order_id": "n1", "placed_at": 1, "shop": "a"}, {"shop": 7}]},
        "POST /v1/models/{model}/predict": {"json": {**ASKED[0], "amount": None}, "params": {"explain": "true"}},
        "POST /v1/features/{view}": {"json": {"keys": ["a", "nobody"]}},
        "POST /v1/models/{model}/release": {"json": {"canary": 2, "percent": 10}},
        "POST /v1/models/{model}/promote": {"json": {"version": 2, "by": "ann"}},
        "POST /v1/models/{model}/rollback": {"json": {"to_version": 1}},
    }
    last = ["GET /v1/models/{model}/release", "DELETE /v1/models/{model}/release", "GET /v1/decisions", "GET /v1/acts"]
    first = [route for route in site.document.routes if route not in last]
    told = {}
    for route in sorted(first, key=lambda route: list(bodies).index(route) if route in bodies else -1) + last:
        status, told[route] = site.ask(route, **bodies.get(route, {}))
        assert status == 200, f"{route}: {told[route]}"
    assert told["POST /v1/models/{model}/predict"].keys() >= {"missing", "explanation"}
    assert told["POST /v1/models/{model}/release"]["trials"]
    assert all(told["GET /v1/models/{model}/drift"][kind] for kind in ("outcomes", "windows"))
    assert told["GET /v1/models/{model}/quality"]["windows"] and told["GET /v1/models/{model}/quality"]["slices"]
    assert len(told["GET /v1/decisions"]) == 2 and told["GET /v1/acts"] and told["POST /v1/streams/{stream}/events"]["rejected"]
    assert told["GET /v1/views/{view}"]["n_served"]


@pytest.mark.parametrize(
    "change", [{}, {"amount": None}, {"amount": "much"}, {"amount": True}, {"shop": 7}, {"order_id": None}, {"more": 1}]
)
@pytest.mark.parametrize("many", [False, True])
def test_what_a_model_is_asked_is_taken_as_the_document_says(site: Site, change: dict[str, object], many: bool) -> None:
    body: object = [ASKED[1], {**ASKED[0], **change}] if many else {**ASKED[0], **change}
    assert site.ask(PREDICT, json=body)[0] == (200 if site.document.takes(PREDICT, body) else 422)


@pytest.mark.parametrize(
    ("route", "what", "status"),
    [
        ("GET /v1/views", {"key": ""}, 401),
        ("GET /v1/views", {"key": "ingest"}, 403),
        ("GET /healthz", {"key": "", "headers": {"origin": "https://example.com"}}, 403),
        ("GET /readyz", {"key": ""}, 200),
        ("GET /v1/views", {"headers": {"host": "example.com"}}, 421),
        ("GET /v1/views/{view}", {"filled": {"view": "nothing"}}, 404),
        ("GET /v1/models/{model}/quality", {"filled": {"model": "nobody"}}, 404),
        ("GET /v1/features/{view}/{key}", {"params": {"at": "yesterday"}}, 422),
        ("GET /v1/features/{view}/{key}", {"params": {"at": tiny.START_MS}}, 200),
        ("GET /v1/features/{view}/{key}", {"filled": {"key": "nobody"}}, 200),
        ("GET /v1/features/{view}/{key}", {"filled": {"key": "a,b"}}, 422),
        ("GET /v1/decisions", {"params": {"limit": "many"}}, 422),
        ("GET /v1/decisions", {"params": {"model": "nobody"}}, 404),
        ("POST /v1/models/{model}/predict", {"json": ASKED[:3]}, 200),
        ("POST /v1/models/{model}/predict", {"json": {}}, 422),
        ("POST /v1/models/{model}/predict", {"content": b" " * 5_000_000}, 413),
        ("POST /v1/models/{model}/promote", {"json": {"version": 7}}, 404),
        ("POST /v1/models/{model}/promote", {"json": {"version": 0}}, 422),
        ("POST /v1/models/{model}/promote", {"content": b"\xff", "headers": {"content-type": JSON}}, 422),
        ("POST /v1/models/{model}/rollback", {"json": {"to_version": 9}}, 409),
        ("POST /v1/models/{model}/release", {"json": {}}, 422),
        ("POST /v1/models/{model}/release", {"json": {"shadow": 1}}, 409),
        ("DELETE /v1/models/{model}/release", {"params": {"shadow": 9}}, 200),
        ("DELETE /v1/models/{model}/release", {"params": {"canary": "all"}}, 422),
        ("POST /v1/streams/{stream}/events", {"content": b"\xff"}, 422),
    ],
)
def test_a_refusal_is_as_the_document_says(site: Site, route: str, what: dict[str, Any], status: int) -> None:
    got, told = site.ask(route, **what)
    assert got == status, told
    assert status == 200 or set(told) == {"error"}
