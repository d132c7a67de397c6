"""What a person does on the page about a model: it is done, it is shown, it is written down, and another site's page cannot do it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.unit.ui.ferry import WALL_MS, Ferry
from tests.unit.ui.file_registry import NAME, file_registry
from tidemill.registry import Registry
from tidemill.serving.guards import Guards
from tidemill.settings import Settings
from tidemill.ui import OverviewReader, model_router, page_router

ACTS = "/ui/models/late_ferry"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with file_registry(tmp_path) as made:
        yield made


@pytest.fixture
def client(ferry: Ferry, registry: Registry) -> TestClient:
    """The page and its actions behind the guards of the server."""
    reader = OverviewReader(ferry.workspace, Settings(), lambda: WALL_MS)
    app = FastAPI()
    app.add_middleware(Guards, max_body_bytes=4_000_000)
    app.include_router(page_router(reader.read))
    app.include_router(model_router(ferry.workspace, registry, reader.forget, lambda: WALL_MS))
    return TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False)


def token(client: TestClient) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', client.get("/").text)
    assert found is not None
    return found[1]


def send(client: TestClient, act: str, **fields: str) -> tuple[int, str]:
    """Status, and where to go next or what is said; ticked unless `sure` says otherwise."""
    answer = client.post(f"{ACTS}/{act}", data={"by": "ann", "sure": "yes", **fields, "token": token(client)})
    return answer.status_code, answer.headers.get("location") or html.unescape(answer.text)


def test_a_retrain_becomes_a_decision_that_waits_for_the_loop(ferry: Ferry, client: TestClient) -> None:
    status, place = send(client, "retrain", reason="  a new  timetable ")
    (decision,) = ferry.workspace.decisions.recent()
    assert (status, place) == (303, f"/#decision-{decision.id}")
    assert (decision.act, decision.trigger, decision.reason, decision.state) == ("retrain", "manual", "a new timetable", "requested")
    assert decision.evidence == {"asked_by": "ann"}
    assert [event.decision_id for event in ferry.workspace.decisions.unclaimed(2**40, 1)] == [decision.id]
    assert f'id="decision-{decision.id}"' in client.get("/").text, "at once, though a look is shared for a second"


def test_a_rollback_and_a_promotion_are_done_here_and_now(ferry: Ferry, client: TestClient, registry: Registry) -> None:
    page = client.get("/").text
    assert "Version 1 answers again" in page
    assert 'name="version" value="1"' in page
    assert send(client, "rollback", version="1")[0] == 303
    assert send(client, "rollback", version="1")[0] == 409, "somebody was before, and it is not undone"
    assert registry.alias(NAME, "champion") == 1
    registry.named(NAME)  # as the server does each second
    assert '<option value="2">2' in client.get("/").text
    assert send(client, "promote", version="1")[0] == 409, "it is the champion"
    status, place = send(client, "promote", version="2")
    newest, before = ferry.workspace.decisions.recent()
    assert (status, place) == (303, f"/#decision-{newest.id}")
    assert [(one.act, one.outcome, one.to_version, one.decided_by) for one in (newest, before)] == [
        ("promote", "promoted", "2", "ann"),
        ("rollback", "rolled_back", "1", "ann"),
    ]
    assert registry.alias(NAME, "champion") == 2


def test_a_version_is_tried_as_shadow_and_as_canary_and_the_trial_is_ended(client: TestClient, registry: Registry) -> None:
    assert "Try as shadow" in client.get("/").text and "End the trial" not in client.get("/").text
    done = (303, "/#versions-of-late_ferry")
    assert send(client, "shadow", version="1") == done
    assert "Version 1 is tried as shadow" in client.get("/").text, "at once, though a look is shared for a second"
    assert send(client, "canary", version="1", percent="12.5") == done
    named = registry.named(NAME)
    assert (named.versions["shadow"], named.versions["canary"], named.canary_percent) == (1, 1, 12.5)
    page = client.get("/").text
    assert "Version 1 is tried as canary of 12.5 % of the keys" in page and "End both" in page
    assert send(client, "end-trials", shadow="1", canary="1") == done
    assert not {"shadow", "canary"} & registry.named(NAME).versions.keys()
    assert "is tried as" not in client.get("/").text


def test_only_the_trials_that_a_form_showed_are_ended(client: TestClient, registry: Registry) -> None:
    registry.set_alias(NAME, "shadow", 1)
    registry.named(NAME)  # as the server does each second
    form = re.search(r'action="/ui/models/late_ferry/end-trials"(.*?)</form>', client.get("/").text, re.DOTALL)
    assert form is not None
    assert re.findall(r'type="hidden" name="(shadow|canary)" value="(\d+)"', form[1]) == [("shadow", "1")]
    registry.set_alias(NAME, "canary", 1)  # which somebody else has begun meanwhile
    assert send(client, "end-trials", shadow="1") == (303, "/#versions-of-late_ferry")
    assert registry.named(NAME).versions.get("canary") == 1
    registry.set_alias(NAME, "shadow", 1)
    status, text = send(client, "end-trials", shadow="1", canary="2")
    assert (status, "version 1 of 'ferries.late_ferry' is tried as canary by now, not 2" in text) == (409, True), text
    assert registry.named(NAME).versions.items() >= {"shadow": 1, "canary": 1}.items(), "nothing was ended"
    assert send(client, "end-trials", shadow="1")[0] == send(client, "end-trials", shadow="1")[0] == 303, "what has ended is ended"


def test_a_trial_takes_the_place_of_the_one_that_its_form_showed(client: TestClient, registry: Registry) -> None:
    for role in ("shadow", "canary"):
        registry.set_alias(NAME, role, 2)
    registry.set_canary_percent(NAME, 12.5)
    registry.named(NAME)  # as the server does each second
    forms = dict(re.findall(rf'action="{ACTS}/(shadow|canary)"(.*?)</form>', client.get("/").text, re.DOTALL))
    assert all('type="hidden" name="replace" value="2"' in form for form in forms.values())
    assert "it scores every question from now on, in place of version 2" in forms["shadow"]
    assert "it answers them from now on, in place of what version 2 answers" in forms["canary"]
    assert 'value="12.5"' in forms["canary"], "whoever raises a share sees what it is"
    status, text = send(client, "shadow", version="1", replace="2", sure="")
    assert (status, "version 1 of late_ferry scores every question from now on, in place of version 2" in text) == (422, True), text
    for act, share in (("shadow", {}), ("canary", {"percent": "5"})):
        for meant, said in (({}, "already; end that first"), ({"replace": "7"}, "by now, not 7; look, and ask again")):
            status, text = send(client, act, version="1", **meant, **share)
            assert (status, f"version 2 of 'ferries.late_ferry' is tried as {act}" in text, said in text) == (409, True, True), text
        assert registry.named(NAME).versions[act] == 2, "it goes on"
        assert send(client, act, version="1", replace="2", **share)[0] == 303
        assert registry.named(NAME).versions[act] == 1
    assert f'action="{ACTS}/shadow"' not in client.get("/").text, "there is none other to try"


def test_a_freeze_is_shown_with_who_and_why_and_ended(ferry: Ferry, client: TestClient) -> None:
    assert send(client, "freeze", reason="strike") == (303, "/#model-late_ferry")
    page = client.get("/").text
    assert "Retraining is frozen by ann: strike" in page
    assert f'action="{ACTS}/unfreeze"' in page and f'action="{ACTS}/freeze"' not in page
    assert send(client, "freeze", reason="again")[0] == 409
    assert send(client, "unfreeze") == (303, "/#model-late_ferry")
    assert ferry.workspace.decisions.frozen("late_ferry") is None
    assert send(client, "unfreeze")[0] == 409


@pytest.mark.parametrize(
    ("act", "fields", "status", "said"),
    [
        ("retrain", {"reason": " "}, 422, "reason: 0 letters; say it in 1 to 200"),
        ("promote", {"version": "two"}, 422, "version: 'two' is no version"),
        ("promote", {"version": "9"}, 404, "no version"),
        ("shadow", {"version": "2"}, 409, "version 2 of 'ferries.late_ferry' is the champion; try another, e.g. 1"),
        ("shadow", {"version": "9"}, 404, "no version"),
        ("canary", {"version": "1", "percent": "0"}, 422, "percent: 0 is no share"),
        ("canary", {"version": "1", "percent": "many"}, 422, "percent: 'many' is no share"),
        ("end-trials", {}, 422, "say which version is tried no more"),
        ("end-trials", {"shadow": "all"}, 422, "shadow: 'all' is no version"),
        ("rollback", {}, 422, "no version"),
        ("rollback", {"version": "7"}, 409, "version 1 of 'late_ferry' is the previous champion by now, not 7"),
        ("rollback", {"version": "1", "by": ""}, 422, "by: 0 letters"),
    ],
)
def test_what_cannot_be_done_says_why_and_what_serves_stays(
    client: TestClient, registry: Registry, act: str, fields: dict[str, str], status: int, said: str
) -> None:
    got, text = send(client, act, **fields)
    assert (got, said in text) == (status, True), text
    assert registry.alias(NAME, "champion") == 2


@pytest.mark.parametrize(
    ("act", "fields", "begins"),
    [
        ("retrain", {"reason": "x"}, "a challenger of late_ferry is fitted now"),
        ("shadow", {"version": "1"}, "version 1 of late_ferry scores every question from now on"),
        ("canary", {"version": "1", "percent": "5"}, "version 1 of late_ferry answers 5 % of the keys from now on"),
        ("end-trials", {"shadow": "1"}, "version 1 as shadow of late_ferry scores no more"),
        ("promote", {"version": "1"}, "version 1 of late_ferry answers from now on"),
        ("rollback", {"version": "1"}, "version 1 of late_ferry answers from now on"),
        ("freeze", {"reason": "x"}, "nothing retrains late_ferry from now on"),
        ("unfreeze", {}, "alarms and schedules may retrain late_ferry from now on"),
    ],
)
@pytest.mark.parametrize("sure", ["", "no"])
def test_without_its_tick_nothing_is_done_and_it_is_said(
    ferry: Ferry, client: TestClient, registry: Registry, act: str, fields: dict[str, str], begins: str, sure: str
) -> None:
    if frozen := act == "unfreeze":
        ferry.workspace.decisions.freeze("late_ferry", "ann", "strike", WALL_MS)
    registry.set_alias(NAME, "shadow", 1)
    before = registry.named(NAME)
    status, text = send(client, act, **fields, sure=sure)
    assert (status, f"sure: not confirmed, so nothing was done; tick the box that says that {begins}" in text) == (422, True), text
    assert registry.named(NAME) == before
    assert ferry.workspace.decisions.recent() == []
    assert (ferry.workspace.decisions.frozen("late_ferry") is not None) == frozen


def test_every_form_about_a_model_asks_for_a_tick(ferry: Ferry, client: TestClient, registry: Registry) -> None:
    registry.set_alias(NAME, "canary", 1)
    registry.named(NAME)  # as the server does each second
    shown = client.get("/").text
    send(client, "freeze", reason="strike")
    forms = re.findall(rf'action="{ACTS}/([a-z-]+)"(.*?)</form>', shown + client.get("/").text, re.DOTALL)
    assert {act for act, _ in forms} == {"retrain", "shadow", "canary", "end-trials", "promote", "rollback", "freeze", "unfreeze"}
    assert [act for act, text in forms if 'name="sure" value="yes" required' not in text] == []


def test_nobody_elses_page_can_do_it_and_no_other_model_is_known(ferry: Ferry, client: TestClient) -> None:
    form = {"by": "eve", "reason": "x", "sure": "yes", "token": token(client)}
    assert client.post(f"{ACTS}/freeze", data=form, headers={"origin": "https://elsewhere.example"}).status_code == 403
    assert client.post(f"{ACTS}/freeze", data={**form, "token": "0" * 64}).status_code == 403
    assert client.post("/ui/models/nobody/freeze", data=form).status_code == 404
    assert client.get(f"{ACTS}/freeze").status_code == 405, "a link does nothing"
    assert ferry.workspace.decisions.frozen("late_ferry") is None
