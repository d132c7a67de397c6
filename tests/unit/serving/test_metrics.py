"""What Prometheus reads: requests by the few routes there are, and how the project stands, whichever process is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests import tiny
from tidemill.errors import UnavailableError
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving import Champions, create_app
from tidemill.serving.metrics import ServerMetrics
from tidemill.serving.watching import Watching
from tidemill.settings import ServerSettings, Settings
from tidemill.stages import listening
from tidemill.stores import Alert

Labels = frozenset[tuple[str, str]]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace.open(tiny.project, tmp_path)
    tiny.live(made, 0, 1)
    yield made
    made.close()


@pytest.fixture
def client(workspace: Workspace) -> TestClient:
    champions = Champions(workspace, Registry("http://127.0.0.1:9", workspace.home), "test")
    app = create_app(workspace, Settings(server=ServerSettings(open=True)), champions)
    return TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)


def read(client: TestClient) -> dict[tuple[str, Labels], float]:
    return samples(client.get("/metrics").text)


def samples(text: str) -> dict[tuple[str, Labels], float]:
    families = text_string_to_metric_families(text)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}


def of(**labels: str) -> Labels:
    return frozenset(labels.items())


def test_requests_are_counted_by_route_and_status(client: TestClient) -> None:
    for path in ("/v1/views", "/v1/views/by_shop", "/v1/views/nobody", "/v1/nothing", "/anything/else"):
        client.get(path)
    told = read(client)
    name = "tidemill_http_requests_total"
    assert told[name, of(route="GET /v1/views/{view}", status="200")] == 1
    assert told[name, of(route="GET /v1/views/{view}", status="404")] == 1
    assert told[name, of(route="other", status="404")] == 2, "a path that is no route makes no series of its own"


def test_a_request_is_timed_by_its_route_and_once(workspace: Workspace) -> None:
    metrics = ServerMetrics(workspace)
    app = FastAPI()  # of no routes: what was asked is told before it is looked for
    app.add_middleware(Watching, metrics=metrics)
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    with listening(metrics.stages):
        for path in ("/v1/views", "/v1/views/by_shop", "/v1/views/nobody"):
            client.get(path)
    told = samples(metrics.render().decode())
    assert told["tidemill_http_seconds_count", of(route="GET /v1/views/{view}")] == 2
    assert told["tidemill_http_seconds_count", of(route="GET /v1/views")] == 1
    assert ("tidemill_stage_seconds_count", of(stage="http")) not in told


def test_the_project_stands_as_the_stores_say(workspace: Workspace, client: TestClient) -> None:
    column = {"column": "amount", "statistic": 3.0, "threshold": 2.0}
    workspace.monitors.save("windows:late_order", 0, 1, {"active": [{"column": "amount"}], "columns": [column]})
    worse = Alert("a:late_order", "late_order", "critical", "worse", "b", "", 1, condition="c")
    workspace.alerts.raise_alert(worse)
    workspace.decisions.freeze("late_order", "ann", "a holiday", 1)
    told, books = read(client), workspace.books()["orders"]
    assert told["tidemill_events", of(stream="orders", outcome="applied")] == books.applied > 0
    assert told["tidemill_events", of(stream="orders", outcome="pending")] == 0
    assert told["tidemill_drift_score", of(model="late_order", column="amount")] == 1.5
    assert told["tidemill_drift_warning", of(model="late_order", column="amount")] == 1
    assert told["tidemill_alerts_going_on", of(model="late_order", severity="critical")] == 1
    assert told["tidemill_model_frozen", of(model="late_order")] == 1
    assert told["tidemill_newest_event_age_seconds", of(view="by_shop")] > 0
    assert told["tidemill_standing_readable", of()] == 1


def test_a_store_that_is_away_takes_nothing_else_with_it(workspace: Workspace, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    client.get("/healthz")

    def away(_self: object) -> None:
        raise UnavailableError("PostgreSQL does not answer")

    monkeypatch.setattr(type(workspace), "books", away)
    told = read(client)
    assert told["tidemill_standing_readable", of()] == 0
    assert told["tidemill_http_requests_total", of(route="GET /healthz", status="200")] == 1
    assert told["tidemill_model_frozen", of(model="late_order")] == 0
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["stores"]) == (503, "PostgreSQL does not answer")
