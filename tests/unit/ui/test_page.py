"""The routes of the page, on a real workspace."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.unit.ui.ferry import PROMOTED, START_MS, WALL_MS, Ferry
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.features import View, count
from tidemill.learning.slices import SliceSums, slice_quality
from tidemill.project import Project, Workspace
from tidemill.settings import Settings
from tidemill.stores import Alert
from tidemill.ui import Overview, page_router, read_overview
from tidemill.ui.quality_cache import WEEK_MS

STATIC = Path(__file__).parents[3] / "src" / "tidemill" / "ui" / "static"


def client_of(overview: Callable[[], Overview]) -> TestClient:
    app = FastAPI()
    app.include_router(page_router(overview))
    return TestClient(app)


@pytest.fixture
def client(ferry: Ferry) -> TestClient:
    return client_of(lambda: read_overview(ferry.workspace, Settings(), WALL_MS))


def fill(ferry: Ferry) -> None:
    ferry.sail(10)
    ferry.sail(6, first_day=10, version=2)
    ferry.watch()
    ferry.decide("d1", PROMOTED)
    ferry.workspace.alerts.raise_alert(Alert("a", "late_ferry", "critical", "Errors rose", "20 %", "/x", START_MS))


def test_the_page_holds_the_fragment_and_every_section(ferry: Ferry, client: TestClient) -> None:
    fill(ferry)
    page, fragment = client.get("/"), client.get("/ui/overview")
    assert (page.status_code, fragment.status_code) == (200, 200)
    assert fragment.text.strip() in page.text
    for name in ("streams", "models", "drift", "decisions", "alerts", "features"):
        assert f'<section id="{name}" aria-labelledby="{name}-title">' in fragment.text
        assert f'href="#{name}"' in page.text


def test_the_weekly_check_says_what_is_usual(ferry: Ferry, client: TestClient) -> None:
    fill(ferry)
    cursor, check = ferry.workspace.monitors.load("check:late_ferry")
    assert check is not None
    as_usual = check | {"failed": [], "failed_twice": [], "share": 0.0, "domain": {"auc": 0.9999, "threshold": 1.0, "columns": []}}
    ferry.workspace.monitors.save("check:late_ferry", cursor, cursor + 1, as_usual)
    told = " ".join(re.sub(r"<[^>]*>", "", client.get("/ui/parts/drift").text).split())
    assert "all within their thresholds 0 % of the columns drifted" in told
    assert "no more than usual a classifier tells" in told
    assert "with an AUC of 1.000, in ordinary cycles up to 1.000" in told


def test_an_alert_shows_its_report_once_there_is_one(ferry: Ferry, client: TestClient) -> None:
    ferry.workspace.alerts.raise_alert(Alert("a", "late_ferry", "critical", "Errors rose", "20 %", "", START_MS, explain="1"))
    ferry.tell("a")
    assert "about Errors rose" not in client.get("/ui/overview").text
    ferry.workspace.alerts.explained("a", "http://127.0.0.1:5000/#/report.html")
    assert '<a href="/mlflow/#/report.html">more<span class="unseen"> about Errors rose</span></a>' in client.get("/ui/overview").text
    assert ferry.workspace.alert_messages.pending(2**62) == [], "what was delivered without it is not sent again"


def test_an_empty_page_says_what_to_do(client: TestClient) -> None:
    text = client.get("/").text
    assert "No champion yet: run <code>tidemill train late_ferry</code>" in text
    assert "POST /v1/streams/departures/events" in text
    assert "No decision yet" in text
    assert "No alert yet" in text


def test_a_view_tells_what_its_features_mean_and_what_was_served(ferry: Ferry, client: TestClient) -> None:
    ferry.sail(2)
    ferry.predict(["x"], ferry.workspace.now_ms(), 1, ([0.2], [0.2]), port="south")
    text = client.get("/ui/overview").text
    section = text[text.index('<details id="view-ports">') : text.index("</details>", text.index('<details id="view-ports">'))]
    assert "to be filled" not in section
    assert "<code>mean(&#34;delay_min&#34;)</code>" in section
    assert "of the newest 49 vectors served" in section
    assert re.findall(r'data-label="(?:Window|Bucket|Missing)">([^<]*)<', section) == ["3h", "5min", "2\u202f%"]
    assert re.findall(r"<span>([^<]*)</span>", section) == ["–", "3", "3"]
    assert 'title="newest event 2026-01-02 08:00 UTC">90\u202fmin' in section


def test_a_view_that_is_not_whole_says_what_to_do(ferry: Ferry, tmp_path: Path) -> None:
    ferry.leave("a", START_MS)
    later = View("later", ferry.workspace.project.stream("departures"), entity="trip", features={"n": count(over="1h")}, owner="<b>ann</b>")
    project = replace(ferry.workspace.project, views=[*ferry.workspace.project.views, later])
    workspace = Workspace.open(project, tmp_path)
    text = client_of(lambda: read_overview(workspace, Settings(), WALL_MS)).get("/").text
    assert "later knows only events since it was declared or changed" in text
    assert "<code>tidemill backfill later</code>" in text
    assert text.count("to be filled") == 1
    assert "read by no model" in text
    assert "<dd>&lt;b&gt;ann&lt;/b&gt;</dd>" in text
    workspace.close()


def test_a_project_without_views_says_how_to_make_one(ferry: Ferry, tmp_path: Path) -> None:
    workspace = Workspace.open(Project("bare", streams=ferry.workspace.project.streams), tmp_path / "bare")
    text = client_of(lambda: read_overview(workspace, Settings(), WALL_MS)).get("/").text
    assert "The project defines no view and no table. Add <code>View(...)</code>" in text
    workspace.close()


def test_nothing_is_inline_and_nothing_comes_from_elsewhere(ferry: Ferry, client: TestClient) -> None:
    fill(ferry)
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; img-src 'self' data:; style-src 'self'; style-src-attr 'unsafe-inline'; ")
    assert policy.count("unsafe-inline") == 1 and "unsafe-eval" not in policy
    assert "<style" not in page.text
    assert re.findall(r"<script(?![^>]*\bsrc=)", page.text) == []
    assert re.findall(r"\son\w+=", page.text) == []
    for address in re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]*)"', page.text):
        assert client.get(address).status_code == 200
        assert address.startswith("/static/")


def test_a_decision_tells_its_whole_story(ferry: Ferry, client: TestClient) -> None:
    ferry.decide("d1", replace(PROMOTED, decided_by="gate"))
    text = " ".join(client.get("/").text.split())
    assert '<details id="story-d1">' in text
    assert "<dt>Decided by</dt><dd>gate</dd>" in text
    assert "labels 2408" in text and "running" not in text.partition("The guard knew")[2][:60]
    assert "Fitted on change, the best" in text
    assert "0.44020 against 0.57310, gain +0.1101 to +0.1557" in text
    assert "port = missing: gain +0.0104 on 211" in text
    assert "not fitted: max_fits is used up" in text
    assert "<dt>Registered</dt><dd>fitted again with the rows that judged it; scores differ by 0.0123 on average</dd>" in text
    assert 'href="/mlflow/#/experiments/1/runs/r7">run in MLflow</a>' in text


def test_what_stores_hold_is_escaped(ferry: Ferry, client: TestClient) -> None:
    nasty = "<img src=x onerror=alert(1)>\"'"
    ferry.decide("d1", None, reason=nasty)
    ferry.workspace.alerts.raise_alert(Alert(f"k {nasty}", "late_ferry", "info", nasty, nasty, f"/{nasty}", START_MS))
    check = {"at_ms": START_MS, "failed": [nasty], "unjudged": {nasty: nasty}, "reason": nasty}
    ferry.workspace.monitors.save("check:late_ferry", 0, 1, check)
    ferry.workspace.decisions.freeze("late_ferry", nasty, nasty, WALL_MS)
    text = client.get("/").text
    assert "<img" not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;") >= 9


def test_the_fragment_is_sent_once_and_again_when_an_event_arrives(ferry: Ferry, client: TestClient) -> None:
    first = client.get("/ui/overview")
    same = client.get("/ui/overview", headers={"if-none-match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    ferry.leave("a", START_MS)
    changed = client.get("/ui/overview", headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200
    assert "2026-01-01 00:00 UTC" in changed.text


def test_the_series_are_the_weeks_with_marks(ferry: Ferry, client: TestClient) -> None:
    fill(ferry)
    series = client.get("/ui/series/late_ferry.json").json()
    weeks = read_overview(ferry.workspace, Settings(), WALL_MS).models[0].quality.weeks
    assert series["weeks"] == [(START_MS + number * WEEK_MS) / 1_000 for number in range(3)]
    for role in ("live", "frozen"):
        assert series[role]["log_loss"] == [getattr(week, role).log_loss for week in weeks]
        assert series[role]["auc"] == [getattr(week, role).auc for week in weeks]
    assert series["marks"] == [
        {"at": (START_MS + 8 * HOUR_MS) / 1_000, "version": "1"},
        {"at": (START_MS + 10 * DAY_MS + 8 * HOUR_MS) / 1_000, "version": "2"},
    ]


def test_an_unknown_model_has_no_series(client: TestClient) -> None:
    answer = client.get("/ui/series/nobody.json")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "no model 'nobody'"
    assert client.get("/ui/heat/nobody").status_code == 404


def test_the_page_asks_for_the_series_again_only_when_they_changed(ferry: Ferry, client: TestClient) -> None:
    def revisions() -> set[str]:
        return set(re.findall(r'data-revision="(\w+)"', client.get("/ui/overview").text))

    ferry.sail(2)
    first = revisions()
    ferry.leave("other", ferry.workspace.now_ms())
    assert revisions() == first
    ferry.sail(1, first_day=2)
    assert revisions() != first
    assert len(first) == 1


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("app.css", "text/css"),
        ("app.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
        ("vendor/htmx.min.js", "text/javascript"),
        ("vendor/hx-sse.min.js", "text/javascript"),
        ("vendor/htmx.LICENSE", "text/plain"),
        ("vendor/uPlot.LICENSE", "text/plain"),
        ("vendor/swagger-ui-bundle.js", "text/javascript"),
        ("vendor/swagger-ui.LICENSE", "text/plain"),
    ],
)
def test_a_file_is_served_as_what_it_is(client: TestClient, path: str, kind: str) -> None:
    answer = client.get(f"/static/{path}")
    assert answer.content == (STATIC / path).read_bytes()
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["cache-control"] == "no-cache"
    assert client.get(f"/static/{path}", headers={"if-none-match": answer.headers["etag"]}).status_code == 304


def test_only_an_address_with_the_right_digest_is_kept_for_good(client: TestClient) -> None:
    (address,) = re.findall(r'"(/static/app\.css\?v=\w+)"', client.get("/").text)
    assert "immutable" in client.get(address).headers["cache-control"]
    assert client.get("/static/app.css?v=0").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["nothing.css", "../page.py", "%2e%2e/page.py", "..%2f..%2f..%2f..%2fetc%2fpasswd", ""])
def test_no_other_file_is_served(client: TestClient, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404


@pytest.mark.parametrize("path", ["/", "/ui/overview"])
def test_a_store_that_fails_is_said_and_logged(path: str, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Overview:
        raise OSError("disk <b>gone</b>")

    answer = client_of(broken).get(path)
    assert answer.status_code == 503
    assert "OSError: disk &lt;b&gt;gone&lt;/b&gt;" in answer.text
    assert answer.headers["retry-after"] == "2"
    assert "overview not read error=OSError" in caplog.text


def test_quality_is_shown_before_the_labels_and_after(ferry: Ferry) -> None:
    ferry.hold(1)
    ferry.sail(10, trips_a_day=40)
    ferry.predict([f"n{number}" for number in range(40)], START_MS + 10 * DAY_MS + 8 * HOUR_MS, 1, ([0.3] * 40, [0.3] * 40))
    seen = read_overview(ferry.workspace, Settings(), WALL_MS)
    (panel,) = seen.models
    sums = [tuple(SliceSums("port", value, 40, 30, loss, 20.0) for value, loss in (("<b>", 40.0), ("b", 10.0)))] * 4
    sliced = replace(seen, models=(replace(panel, report=replace(panel.report, slices=tuple(slice_quality(sums)), provisional=(1,))),))
    client = client_of(lambda: sliced)
    text = client.get("/").text
    for said in (
        "Before and after the labels",
        "How far to trust the estimate",
        "port &lt;b&gt; is worse than expected",
        "Harder than the rest",
        "The interval of version 1 is <strong>provisional</strong>",
    ):
        assert said in text
    series = client.get("/ui/series/late_ferry.json").json()["windows"]
    assert (len(series["at"]), series["step"]) == (len(panel.report.windows), 86_400)
    assert series["live"]["auc"][0] == panel.report.windows[0].live.figures["auc"].value
    for low, middle, high in zip(*(series[name]["log_loss"] for name in ("low", "estimated", "high")), strict=True):
        assert low < middle < high
