"""Versions are tried, promoted and taken back over HTTP and by command, with MLflow's own files as the registry."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner

from tests import tiny
from tests.held import hold_version
from tests.served import PATIENCE_S, serving
from tests.services import free_port
from tidemill.cli.main import app
from tidemill.clock import wall_ms
from tidemill.errors import InputError, NotReadyError
from tidemill.project import Workspace
from tidemill.registry import Asker, Registry, request_promotion, snapshot
from tidemill.serving import Champions, create_app
from tidemill.settings import ServerSettings, Settings
from tidemill.stores import SCOPES, ApiKey
from tidemill.stores.api_key import hash_of, new_text, prefix_of
from tidemill.stores.decision_records import Ending

NAME = "tiny.late_order"
MODEL, PREDICT = "/v1/models/late_order", "/v1/models/late_order/predict"
ASKED = {"order_id": "q1", "shop": "a", "amount": 20.0}


@dataclass(frozen=True)
class Api:
    """A running server, with the registry that it follows."""

    workspace: Workspace
    registry: Registry
    port: int
    http: httpx.Client
    key: str

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        answer = self.http.request(method, path, json=body) if body is not None else self.http.request(method, path)
        return answer.status_code, answer.json()


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server whose model has two versions, the first of them the champion."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    uri = f"file:{tmp_path_factory.mktemp('mlflow')}"
    workspace = Workspace.open(tiny.project, home)
    tiny.live(workspace, 0, 2)
    key = new_text()
    workspace.keys.add(ApiKey(prefix_of(key) or "", "ann", SCOPES, "tiny", "root", 1), hash_of(key))
    rows = snapshot(workspace, tiny.LATE_ORDER)
    hold_version(workspace, 1, rows)
    hold_version(workspace, 2, rows.rows(np.arange(len(rows)) < len(rows) // 3))
    with patch.dict(os.environ, {"MLFLOW_ALLOW_FILE_STORE": "true"}):
        mlflow.set_tracking_uri(uri)  # its files ask whichever server is set, whatever the client says
        client = MlflowClient(uri, uri)
        client.create_registered_model(NAME)
        for number in ("1", "2"):
            assert str(client.create_model_version(NAME, f"{home}/models/{NAME}/{number}").version) == number
        registry = Registry(uri, home)
        registry.promote(NAME, 1)
        champions = Champions(workspace, registry, "test")
        champions.refresh(0)
        settings = Settings(server=ServerSettings(port=port, poll_champion_s=0.05))
        served = create_app(workspace, settings, champions)
        headers = {"authorization": f"Bearer {key}"}
        with serving(served, port) as url, httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S) as http:
            yield Api(workspace, registry, port, http, key)
        mlflow.set_tracking_uri("")
    workspace.close()


def _wait_for_roles(ready: Api, roles: dict[str, int]) -> None:
    """Until the server holds these versions."""
    until_s = time.monotonic() + PATIENCE_S
    while (versions := ready.call("GET", "/v1/models/late_order")[1]["versions"]) != roles:
        assert time.monotonic() < until_s, versions
        time.sleep(0.02)


def test_a_version_is_tried_promoted_and_taken_back_over_http_without_a_failed_request(ready: Api) -> None:
    answers: list[tuple[int, Any]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(ready.call("POST", PREDICT, {"order_id": f"t{len(answers)}", "shop": "c", "amount": 30.0}))

    many = [{"order_id": f"r{place}", "shop": tiny.SHOPS[place % 5], "amount": 30.0} for place in range(100)]
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        status, told = ready.call("POST", f"{MODEL}/release", {"shadow": 2})
        assert (status, told["aliases"]["shadow"], [one["role"] for one in told["trials"]]) == (200, 2, ["shadow"])
        _wait_for_roles(ready, {"champion": 1, "frozen": 1, "shadow": 2})
        assert {one["model_version"] for one in ready.call("POST", PREDICT, many)[1]} == {1}
        roles = {(score.role, score.version) for score in ready.workspace.predictions.scores("late_order", ["r7"])}
        assert roles == {("champion", 1), ("frozen", 1), ("shadow", 2)}

        status, told = ready.call("POST", f"{MODEL}/release", {"canary": 2, "percent": 40})
        assert (status, told["trials"][1]["percent"]) == (200, 40)
        _wait_for_roles(ready, {"champion": 1, "frozen": 1, "shadow": 2, "canary": 2})
        of_some = {
            one["order_id"] for one, said in zip(many, ready.call("POST", PREDICT, many)[1], strict=True) if said["model_version"] == 2
        }
        assert 10 < len(of_some) < 80
        ready.registry.set_canary_percent(NAME, 100)  # as somebody would in MLflow
        until_s = time.monotonic() + PATIENCE_S
        while {one["model_version"] for one in ready.call("POST", PREDICT, many)[1]} != {2}:
            assert time.monotonic() < until_s
            time.sleep(0.02)

        status, ended = ready.call("POST", f"{MODEL}/promote", {"version": 2, "by": "whoever"})
        assert (status, ended["outcome"], ended["to_version"], ended["decided_by"]) == (200, "promoted", "2", "ann"), ended
        assert ready.call("POST", PREDICT, ASKED)[1]["model_version"] == 2
        aliases = ready.call("GET", f"{MODEL}/release")[1]["aliases"]
        assert {name: aliases.get(name) for name in ("champion", "previous", "shadow", "canary")} == {
            "champion": 2,
            "previous": 1,
            "shadow": None,
            "canary": None,
        }
        status, ended = ready.call("POST", f"{MODEL}/rollback")
        assert (status, ended["outcome"], ended["to_version"]) == (200, "rolled_back", "1"), ended
        assert ready.call("POST", PREDICT, ASKED)[1]["model_version"] == 1
    finally:
        stop.set()
        thread.join()
    assert answers and {status for status, _ in answers} == {200}
    assert [(one["act"], one["decided_by"]) for one in ready.call("GET", "/v1/decisions?model=late_order")[1]] == [
        ("rollback", "ann"),
        ("promote", "ann"),
    ]
    told = [(one["by"], one["act"].rpartition("/")[2], one["detail"]) for one in ready.call("GET", "/v1/acts")[1]]
    assert told == [
        ("ann", "rollback", ""),
        ("ann", "promote", "version 2"),
        ("ann", "release", "version 2 as canary of 40 %"),
        ("ann", "release", "version 2 as shadow"),
    ]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"shadow": 1}, 409, "is the champion"),
        ({"canary": 9}, 404, "no version of 'tiny.late_order' '9'"),
        ({"canary": 2, "percent": 0}, 422, "percent"),
        ({"canary": 2, "share": 1}, 422, "share"),
        ({}, 422, "one of the two"),
        ({"shadow": 2, "canary": 2}, 422, "one of the two"),
        ({"shadow": 2, "percent": 5}, 422, "percent: a shadow answers nothing"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_the_reason(ready: Api, body: object, status: int, words: str) -> None:
    got, answer = ready.call("POST", f"{MODEL}/release", body)
    assert (got, words in str(answer["error"])) == (status, True), answer


def test_trials_end_at_once(ready: Api) -> None:
    assert ready.call("POST", f"{MODEL}/release", {"canary": 2, "percent": 40})[0] == 200
    _wait_for_roles(ready, {"champion": 1, "frozen": 1, "canary": 2})
    assert ready.call("POST", f"{MODEL}/release", {"canary": 9, "percent": 60})[0] == 404
    named = ready.registry.named(NAME)
    assert (named.versions["canary"], named.canary_percent) == (2, 40), "what is tried goes on"
    status, told = ready.call("DELETE", f"{MODEL}/release?canary=1")
    assert (status, "version 2 of 'tiny.late_order' is tried as canary by now, not 1" in told["error"]["what"]) == (409, True), told
    assert ready.call("DELETE", f"{MODEL}/release?canery=2")[0] == 422, "what is not understood ends nothing"
    assert ready.call("DELETE", f"{MODEL}/release?shadow=2")[1]["aliases"]["canary"] == 2, "there was no shadow, and it alone was meant"
    assert ready.call("DELETE", f"{MODEL}/release?canary=2")[1]["trials"] == []
    assert ready.call("GET", "/v1/acts")[1][0]["detail"] == "version 2 as canary"
    _wait_for_roles(ready, {"champion": 1, "frozen": 1})
    assert ready.call("DELETE", f"{MODEL}/release")[0] == 200, "there is nothing to end, and nothing wrong with that"
    ready.registry.set_alias(NAME, "canary", 2)  # as somebody would in MLflow
    assert ready.registry.named(NAME).canary_percent == 5, "and not the share of the one before"
    ready.registry.drop_alias(NAME, "canary")


def test_a_trial_makes_room_for_another_only_where_it_is_said_which_one_is_meant(ready: Api) -> None:
    release = f"{MODEL}/release"

    def last_act() -> tuple[int, str]:
        act = ready.call("GET", "/v1/acts")[1][0]
        return act["status"], act["detail"]

    for role in ("shadow", "canary"):
        ready.registry.set_alias(NAME, role, 1)  # which somebody else has begun
        status, told = ready.call("POST", release, {role: 2})
        share = " of 5 % of the keys" if role == "canary" else ""
        said = f"version 1 of 'tiny.late_order' is tried as {role}{share} already; end that first, or say that version 2 replaces it"
        assert (status, said in told["error"]["what"]) == (409, True), told
        assert last_act() == (409, f"version 2 as {role}")
        status, told = ready.call("POST", release, {role: 2, "replace": 7})
        assert (status, f"is tried as {role} by now, not 7; look, and ask again" in told["error"]["what"]) == (409, True), told
        assert ready.registry.named(NAME).versions[role] == 1, "it goes on"
        for _ in range(2):  # by whoever sends it twice, too
            assert ready.call("POST", release, {role: 2, "replace": 1})[1]["aliases"][role] == 2
    assert [act["detail"] for act in ready.call("GET", "/v1/acts")[1][:2]] == [
        "version 2 as canary of 5 %",
        "version 2 as canary of 5 % in place of version 1",
    ]
    for asked, detail in (({"percent": 40}, "of 40 %, until now of 5 %"), ({"percent": 40}, "of 40 %"), ({}, "of 40 %")):
        status, told = ready.call("POST", release, {"canary": 2, **asked})
        assert (status, told["trials"][1]["percent"]) == (200, 40), "a share is changed in one step, and is not lost where none is said"
        assert last_act() == (200, f"version 2 as canary {detail}")
    assert ready.call("DELETE", release)[1]["trials"] == []
    assert ready.call("POST", release, {"shadow": 2, "replace": 7})[0] == 200, "what has ended already is in nobody's way"
    assert ready.call("DELETE", release)[1]["trials"] == []


def test_a_promotion_that_waits_for_a_server_is_named_to_whoever_asks_again(ready: Api) -> None:
    waits = request_promotion(ready.workspace, ready.registry, tiny.LATE_ORDER, 2, Asker("ann", "page-1"))
    ready.registry.promote(NAME, 2)
    status, told = ready.call("POST", f"{MODEL}/promote", {"version": 2})
    said = f"version 2 of 'late_order' is the champion already; decision {waits.id} ends once every server serves it"
    assert (status, told["error"]["what"]) == (409, said)
    ready.registry.promote(NAME, 1)
    assert ready.workspace.decisions.claim(waits.id, "page-1", wall_ms())
    assert ready.workspace.decisions.finish(waits.id, Ending("failed", "given up", 0, wall_ms()), "page-1")


def test_what_a_person_does_twice_is_done_once(ready: Api) -> None:
    assert ready.call("POST", f"{MODEL}/promote", {"version": 2})[0] == 200
    again = ready.call("POST", f"{MODEL}/promote", {"version": 2})
    assert (again[0], again[1]["error"]["what"]) == (409, "version 2 of 'late_order' is the champion already")
    assert ready.call("POST", f"{MODEL}/rollback", {"to_version": 1})[0] == 200
    for to, words in ((1, "is the champion already"), (9, "version 2 of 'late_order' is the previous champion by now, not 9")):
        status, told = ready.call("POST", f"{MODEL}/rollback", {"to_version": to})
        assert (status, words in told["error"]["what"]) == (409, True), told
    assert ready.registry.alias(NAME, "champion") == 1


def test_a_version_that_is_not_there_changes_nothing(ready: Api) -> None:
    before = ready.registry.named(NAME).versions
    status, told = ready.call("POST", f"{MODEL}/promote", {"version": 99})
    assert (status, "there is: 1, 2" in told["error"]["what"]) == (404, True), told
    assert ready.registry.named(NAME).versions == before
    ready.registry.set_alias(NAME, "previous", before["champion"])
    assert ready.call("POST", f"{MODEL}/rollback")[0] == 404, "it would go nowhere"
    ready.registry.set_alias(NAME, "previous", before["previous"])


def test_the_commands_try_end_and_go_back(ready: Api, tmp_path: Path) -> None:
    environ = {"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_PROJECT": str(tiny.FILE), "TIDEMILL_SERVER__PORT": str(ready.port)}
    environ["TIDEMILL_CLIENT__KEY"] = ready.key

    def said(*arguments: str) -> str:
        with patch.dict(os.environ, environ):
            result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    explained = said("predict", "late_order", json.dumps(ASKED), "--explain")
    assert "missing by_shop__mean_delay_3h, newest event of its stream" in explained and "(unexplained)" in explained
    assert "canary v2 20 % of the keys: " in said("release", "late_order", "--canary", "2", "--percent", "20")
    assert "shadow v2: " in said("release", "late_order", "--shadow", "2")
    told = json.loads(said("release", "late_order", "--json"))
    assert [(one["role"], one["version"]) for one in told["trials"]] == [("shadow", 2), ("canary", 2)]
    assert "canary v2 20 % of the keys: " in said("release", "late_order", "--canary", "2"), "it keeps its share"
    ready.registry.set_alias(NAME, "shadow", 1)  # which somebody else has begun
    with pytest.raises(NotReadyError, match=r"version 1 of 'tiny\.late_order' is tried as shadow already.*: `--replace 1`"):
        said("release", "late_order", "--shadow", "2")
    assert "shadow v2: " in said("release", "late_order", "--shadow", "2", "--replace", "1")
    assert "shadow" not in said("release", "late_order", "--end")
    with pytest.raises(InputError, match="say one of"):
        said("release", "late_order", "--end", "--shadow", "2")
    assert "RolledBack: version 2 serves" in said("rollback", "late_order")
    assert ready.call("POST", PREDICT, ASKED)[1]["model_version"] == 2
    assert "RolledBack: version 1 serves" in said("rollback", "late_order")
    assert "Deployed: version 2 serves" in said("promote", "late_order", "2")
    assert ready.registry.alias(NAME, "champion") == 2
    assert "RolledBack: version 1 serves" in said("rollback", "late_order")
