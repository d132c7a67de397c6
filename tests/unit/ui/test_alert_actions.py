"""What a person does about alerts on the page: it is written down, it is shown, and another site's page cannot do it."""

from __future__ import annotations

import html
import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.unit.ui.ferry import START_MS, WALL_MS, Ferry
from tidemill.serving.guards import Guards
from tidemill.settings import Settings
from tidemill.stores import Alert
from tidemill.ui import OverviewReader, alert_router, page_router

ACK = "/ui/alerts/ack"
SILENCE = {"model": "late_ferry", "kind": "windows", "for": "8h", "reason": "a migration", "by": "ann"}


@pytest.fixture
def client(ferry: Ferry) -> TestClient:
    """The page and its actions behind the guards of the server, over one reader as in it."""
    reader = OverviewReader(ferry.workspace, Settings(), lambda: WALL_MS)
    app = FastAPI()
    app.add_middleware(Guards, max_body_bytes=4_000_000)
    app.include_router(page_router(reader.read))
    app.include_router(alert_router(ferry.workspace, reader.forget, lambda: WALL_MS))
    return TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False)


def token(client: TestClient) -> str:
    """What the forms of the page carry for this browser; the first look gives it its cookie."""
    found = re.search(r'name="token" value="([0-9a-f]{64})"', client.get("/").text)
    assert found is not None
    return found[1]


@pytest.fixture(autouse=True)
def two_warnings(ferry: Ferry) -> None:
    for column in ("wind", "sea"):
        key, title = f"windows:late_ferry:1:{column}:9", f"late_ferry: {column} has moved"
        alert = Alert(key, "late_ferry", "warning", title, "1.7 against 1.3", "", START_MS, since_ms=START_MS, harm="none known")
        ferry.workspace.alerts.raise_alert(alert)


def test_a_form_acknowledges_what_the_page_shows(ferry: Ferry, client: TestClient) -> None:
    page = client.get("/").text
    keys = re.findall(r'<input type="hidden" name="key" value="([^"]*)">', page)
    assert sorted(keys) == ["windows:late_ferry:1:sea:9", "windows:late_ferry:1:wind:9"]
    assert "Acknowledge all 2" in page
    answer = client.post(ACK, data={"key": keys, "by": " Ann  Lee ", "token": token(client)}, headers={"origin": "http://127.0.0.1:8000"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/#alerts")
    assert {(one.acked_by, one.acked_wall_ms) for one in ferry.workspace.alerts.recent()} == {("Ann Lee", WALL_MS)}
    page = client.get("/").text
    assert page.count("acknowledged by Ann Lee") == 2, "at once, though a look is shared for a second"
    assert f'action="{ACK}"' not in page


def test_a_form_silences_and_another_ends_it(ferry: Ferry, client: TestClient) -> None:
    assert client.post("/ui/alerts/silence", data={**SILENCE, "token": token(client)}).status_code == 303
    (standing,) = ferry.workspace.alert_silences.standing(WALL_MS)
    assert (standing.kind, standing.by, standing.reason, standing.until_wall_ms) == (
        "windows",
        "ann",
        "a migration",
        WALL_MS + 8 * 3_600_000,
    )
    page = client.get("/").text
    assert "is silenced by ann until" in page
    (number,) = re.findall(r'<input type="hidden" name="number" value="(\d+)">', page)
    ended = {"number": number, "by": "bob", "token": token(client)}
    assert client.post("/ui/alerts/unsilence", data=ended).status_code == 303
    assert ferry.workspace.alert_silences.standing(WALL_MS) == ()
    assert client.post("/ui/alerts/unsilence", data=ended).status_code == 404


@pytest.mark.parametrize(("path", "form"), [(ACK, {"key": "windows:late_ferry:1:wind:9", "by": "eve"}), ("/ui/alerts/silence", SILENCE)])
@pytest.mark.parametrize("headers", [{"origin": "https://elsewhere.example"}, {"origin": "null"}, {"host": "elsewhere.example"}])
def test_another_site_cannot_do_it(ferry: Ferry, client: TestClient, path: str, form: dict[str, str], headers: dict[str, str]) -> None:
    assert client.post(path, data={**form, "token": token(client)}, headers=headers).status_code in (403, 421)
    assert client.get(path).status_code == 405, "a link does nothing"
    assert {one.acked_by for one in ferry.workspace.alerts.recent()} == {""}
    assert ferry.workspace.alert_silences.standing(WALL_MS) == ()


@pytest.mark.parametrize("given", ["", "0" * 64, "é"])
def test_a_form_without_its_token_does_nothing(ferry: Ferry, client: TestClient, given: str) -> None:
    """A site that can make a browser send a form, cookie and all, cannot know what follows from the cookie."""
    token(client)
    answer = client.post(ACK, data={"key": "windows:late_ferry:1:wind:9", "by": "eve", "token": given})
    assert (answer.status_code, "reload the page" in answer.text) == (403, True)
    assert {one.acked_by for one in ferry.workspace.alerts.recent()} == {""}


def test_the_token_of_another_browser_is_none(ferry: Ferry, client: TestClient) -> None:
    stolen = token(client)
    client.cookies.clear()
    token(client)
    assert client.post(ACK, data={"key": "windows:late_ferry:1:wind:9", "by": "eve", "token": stolen}).status_code == 403


@pytest.mark.parametrize(
    ("path", "form", "status", "said"),
    [
        (ACK, {"key": "windows:late_ferry:1:wind:9", "by": " "}, 422, "by: 0 letters; say it in 1 to 200"),
        (ACK, {"key": "nobody", "by": "ann"}, 404, "no alert 'nobody'"),
        (
            "/ui/alerts/silence",
            {**SILENCE, "model": "nobody"},
            404,
            "no model, stream, reaction or publication 'nobody'; there is: arrivals",
        ),
        ("/ui/alerts/silence", {**SILENCE, "kind": "nothing"}, 404, "no kind of alert 'nothing'; there is: check"),
        ("/ui/alerts/silence", {**SILENCE, "for": "long"}, 422, "for: 'long' is not a duration"),
        ("/ui/alerts/silence", {**SILENCE, "reason": "x" * 201}, 422, "reason: 201 letters"),
        ("/ui/alerts/unsilence", {"number": "one", "by": "ann"}, 422, "number: 'one' is no number"),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(
    ferry: Ferry, client: TestClient, path: str, form: dict[str, str], status: int, said: str
) -> None:
    answer = client.post(path, data={**form, "token": token(client)})
    assert (answer.status_code, said in html.unescape(answer.text)) == (status, True), answer.text
    assert {one.acked_by for one in ferry.workspace.alerts.recent()} == {""}
    assert ferry.workspace.alert_silences.standing(WALL_MS) == ()


def test_only_forms_are_read(client: TestClient) -> None:
    assert client.post(ACK, json={"key": "a", "by": "ann"}).status_code == 422
    assert client.post(ACK, content=b"\xff", headers={"content-type": "application/x-www-form-urlencoded"}).status_code == 422
    assert client.post(ACK, data={"by": ["ann", "bob"], "token": token(client)}).status_code == 422


def test_the_page_says_since_when_how_it_hurts_and_when_it_was_over(ferry: Ferry, client: TestClient) -> None:
    told = Alert(
        "outcomes:late_ferry:1:error:9", "late_ferry", "critical", "worse", "b", "", START_MS, harm="31% to 38%", condition="outcomes:x"
    )
    ferry.workspace.alerts.raise_alert(told)
    ferry.workspace.alerts.end("outcomes:x", START_MS + 3_600_000, "version 2 serves")
    text = re.sub(r"<[^>]*>", "", client.get("/").text)
    assert "since 2026-01-01 00:00 UTC" in text
    assert "harm: 31% to 38%" in text
    assert "over since 2026-01-01 01:00 UTC: version 2 serves" in text
