"""What Prometheus reads: requests by the few routes there are, and how the project stands, whichever process is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests import tiny
from tests.unit.serving.predict_site import ASKED, PATH, open_site
from tidemill.clock import DAY_MS
from tidemill.errors import UnavailableError
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving import Champions, create_app, standing
from tidemill.serving.metrics import ServerMetrics
from tidemill.serving.scopes import PREDICT
from tidemill.serving.watching import Watching
from tidemill.settings import ServerSettings, Settings
from tidemill.stages import listening
from tidemill.stores import Alert, Decision
from tidemill.stores.decision_records import Act, Ending
from tidemill.streams import Entry

Labels = frozenset[tuple[str, str]]
LINES = {"content-type": "application/x-ndjson"}


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


def test_each_stage_of_a_predict_request_is_timed_once(tmp_path: Path) -> None:
    with open_site(tmp_path) as site, TestClient(site.app, base_url="http://127.0.0.1:8000") as client:
        client.headers["authorization"] = f"Bearer {site.keys['all']}"
        assert client.post(PATH, json=ASKED).status_code == 200
        one = read(client)
        assert client.post(PATH, params={"explain": "true"}, json=[ASKED, {**ASKED, "order_id": "q2"}]).status_code == 200
        two = read(client)
        assert client.post(PATH, json={"order_id": 7}).status_code == 422
        refused = read(client)
    model = of(model="late_order")
    for told, requests, rows in ((one, 1, 1), (two, 2, 3)):
        in_stages_s = 0.0
        for stage in ("predict.parse", "predict.read", "predict.score", "predict.log", "predict.tell"):
            assert told["tidemill_stage_seconds_count", of(stage=stage)] == requests
            assert told["tidemill_stage_seconds_bucket", of(stage=stage, le="+Inf")] == requests
            assert told["tidemill_stage_seconds_sum", of(stage=stage)] > 0
            in_stages_s += told["tidemill_stage_seconds_sum", of(stage=stage)]
        predict_s = told["tidemill_predict_seconds_sum", model]
        assert in_stages_s <= predict_s <= told["tidemill_http_seconds_sum", of(route=PREDICT)], "one lies within the other"
        assert told["tidemill_predict_seconds_count", model] == requests
        assert told["tidemill_predictions_total", model] == told["tidemill_logged_predictions", model] == rows
    assert refused["tidemill_predict_seconds_count", model] == 3
    assert refused["tidemill_stage_seconds_count", of(stage="predict.parse")] == 3
    assert refused["tidemill_stage_seconds_count", of(stage="predict.read")] == 2
    assert refused["tidemill_predictions_total", model] == refused["tidemill_logged_predictions", model] == 3


def test_events_are_counted_at_the_door_and_those_that_it_names_as_wrong(client: TestClient) -> None:
    good = [json.loads(tiny.order(f"m{number}", tiny.START_MS)) for number in range(3)]
    for events, status in (([*good, {"order_id": 7}], 200), (good[:1], 200)):
        assert client.post("/v1/streams/orders/events", json=events).status_code == status
    told = read(client)
    assert told["tidemill_door_events_total", of(stream="orders")] == 5, "one that was sent twice came twice"
    assert told["tidemill_door_rejected_total", of(stream="orders")] == 1


def test_lines_are_counted_as_they_come_however_they_end(client: TestClient) -> None:
    lines = [tiny.delivery(f"l{number}", tiny.START_MS) for number in range(5)] + ["{"] * 1_500
    assert client.post("/v1/streams/deliveries/events", content="\n".join(lines), headers=LINES).status_code == 200
    whole = read(client)
    assert whole["tidemill_door_events_total", of(stream="deliveries")] == 1_505
    assert whole["tidemill_door_rejected_total", of(stream="deliveries")] == 1_500, "also those beyond the thousand that are named"
    broken = "\n".join([*lines[:3], "x" * 300_000])
    assert client.post("/v1/streams/deliveries/events", content=broken, headers=LINES).status_code == 422
    assert read(client)["tidemill_door_events_total", of(stream="deliveries")] == 1_508, "what had come before is in the log"


def test_a_view_is_as_far_behind_as_its_newest_event(workspace: Workspace, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    at_ms = tiny.START_MS + 2 * DAY_MS
    late_ms = at_ms - 90_500
    events = [Entry("deliveries", tiny.delivery("m1", late_ms), late_ms), Entry("orders", tiny.order("m2", at_ms), at_ms)]
    workspace.log.append(events, 0)
    workspace.engine().drain(100)
    monkeypatch.setattr(standing, "wall_ms", lambda: at_ms + 60_000)
    told = read(client)
    assert told["tidemill_freshness_seconds", of(view="by_shop")] == 90.5
    assert told["tidemill_newest_event_age_seconds", of(view="by_shop")] == 150.5
    assert told["tidemill_view_whole", of(view="by_shop")] == 1


def test_decisions_are_counted_by_act_and_by_how_they_ended(workspace: Workspace, client: TestClient) -> None:
    acts: list[Act] = ["retrain", "retrain", "retrain", "rollback"]
    for number, act in enumerate(acts):
        asked = Decision(f"d{number}", "late_order", "manual", f"by hand {number}", "a test", 1, 1, act=act)
        assert workspace.decisions.request(asked)
    for number in (0, 1):
        assert workspace.decisions.finish(f"d{number}", Ending("refused", "not now", 2, 2))
    told, model = read(client), "late_order"
    assert told["tidemill_decisions", of(model=model, act="retrain", outcome="refused")] == 2
    assert told["tidemill_decisions", of(model=model, act="retrain", outcome="requested")] == 1
    assert told["tidemill_decisions", of(model=model, act="rollback", outcome="requested")] == 1


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
