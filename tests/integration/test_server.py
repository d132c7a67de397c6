"""The API server over real HTTP: what the door says of every kind of input, predictions, and a swap of champions under load."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import urllib3
import uvicorn

from tests import tiny
from tests.services import free_port
from tidemill.clock import DAY_MS, HOUR_MS, wall_ms
from tidemill.learning import OnnxModel, vectors_of
from tidemill.project import Workspace
from tidemill.registry import CHAMPION, Registry
from tidemill.serving import Champions, create_app
from tidemill.settings import ServerSettings, Settings

EVENTS, PREDICT = "/v1/streams/orders/events", "/v1/models/late_order/predict"
PATIENCE_S = 120.0
ASKED = {"order_id": "q1", "shop": "a", "amount": 20.0}


@dataclass(frozen=True)
class Api:
    """A running server and its workspace."""

    workspace: Workspace
    registry: Registry
    port: int
    pool: urllib3.HTTPConnectionPool

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer; a body that is no text is sent as JSON."""
        sent = body if body is None or isinstance(body, bytes | str) else json.dumps(body)
        answer = self.pool.request(method, path, body=sent, headers=headers)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.status, json.loads(answer.data) if is_json else answer.data.decode()


def serve(workspace: Workspace, registry: Registry) -> Iterator[Api]:
    """The application under a real server until the block is left."""
    port = free_port()
    settings = Settings(server=ServerSettings(open=True, port=port, poll_champion_s=0.05))
    served = create_app(workspace, settings, Champions(workspace, registry, "test"))
    server = uvicorn.Server(uvicorn.Config(served, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        with urllib3.HTTPConnectionPool("127.0.0.1", port, retries=False, timeout=PATIENCE_S, maxsize=4) as pool:
            yield Api(workspace, registry, port, pool)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        workspace.close()
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[Api]:
    """A server without any model."""
    home = tmp_path_factory.mktemp("door")
    project = tiny.named("tiny_door")
    yield from serve(Workspace.open(project, home), Registry(mlflow_uri, home))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[Api]:
    """A server with a past of five days and two registered versions, the first of them the champion."""
    home = tmp_path_factory.mktemp("trained")
    workspace, registry = Workspace.open(tiny.named("tiny_trained"), home), Registry(mlflow_uri, home)
    tiny.live(workspace, 0, 3)
    registry.promote("tiny_trained.late_order", tiny.train_version(workspace, registry))
    tiny.live(workspace, 3, 5, slow="cd")
    tiny.train_version(workspace, registry)
    yield from serve(workspace, registry)


@pytest.fixture
def ready(trained: Api) -> Api:
    """The trained server once it holds its champion."""
    until_s = time.monotonic() + PATIENCE_S
    while (answer := trained.call("GET", "/readyz"))[0] != 200:
        assert time.monotonic() < until_s, answer
        time.sleep(0.05)
    return trained


def test_good_events_of_a_bad_batch_are_kept(door: Api) -> None:
    before = door.workspace.books()["orders"]
    now = wall_ms()
    batch = [
        json.loads(tiny.order("good-1", now)),
        {"order_id": "bad-type", "placed_at": now, "shop": 7},
        {"order_id": "no-time", "shop": "a"},
        {"order_id": "future", "placed_at": now + DAY_MS, "shop": "a"},
        {"order_id": "nan", "placed_at": now, "shop": "a", "amount": float("nan")},
        "not an object",
        {"order_id": "deep", "placed_at": now, "shop": [[[[1]]]]},
        json.loads(tiny.order("good-2", now)),
    ]
    status, said = door.call("POST", EVENTS, batch)
    assert status == 200, said
    assert (said["accepted"], said["duplicates"]) == (2, 0)
    reasons = {one["index"]: one["reason"] for one in said["rejected"]}
    assert reasons == {1: "schema", 2: "no_time", 3: "future", 4: "not_finite", 5: "schema", 6: "schema"}
    details = {one["index"]: one["detail"] for one in said["rejected"]}
    assert "shop" in details[1] and "placed_at" in details[2] and "amount" in details[4]
    door.workspace.engine().drain(1_000)
    books = door.workspace.books()["orders"]
    assert books.balanced
    assert (books.applied - before.applied, books.rejected - before.rejected) == (2, 6)


def test_a_line_that_is_not_json_is_named_and_the_others_are_kept(door: Api) -> None:
    now = wall_ms()
    lines = [tiny.order("line-1", now), '{"order_id": "torn', "", tiny.order("line-2", now)]
    status, said = door.call("POST", EVENTS, "\n".join(lines))
    assert status == 200
    assert said["accepted"] == 2
    assert [(one["index"], one["reason"]) for one in said["rejected"]] == [(1, "not_json")]


def test_a_copy_is_a_duplicate_in_one_request_and_after_the_engine_took_it(door: Api) -> None:
    body = tiny.order("twin", wall_ms())
    assert door.call("POST", EVENTS, f"{body}\n{body}")[1] == {"accepted": 1, "duplicates": 1, "rejected": []}
    door.workspace.engine().drain(1_000)
    assert door.call("POST", EVENTS, body)[1] == {"accepted": 0, "duplicates": 1, "rejected": []}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ('[{"order_id": "x"', 422, "not a JSON array"),
        (b'\xff\xfe{"order_id"', 422, "not UTF-8 at byte 0"),
        ("[" + "[" * 60 + "]" * 60 + "]", 422, "nested deeper than 32"),
        ("[" * 200_000, 422, "not a JSON array"),
        ("", 422, "0 events"),
        ("[]", 422, "0 events"),
        (b"x" * 10_000_000, 413, "at most 4000000"),
    ],
    ids=["torn array", "bytes", "deep", "endless", "nothing", "empty array", "10 MB"],
)
def test_a_body_that_cannot_be_taken_apart_is_refused_whole(door: Api, body: bytes | str, status: int, said: str) -> None:
    before = door.workspace.log.end()
    got, answer = door.call("POST", EVENTS, body)
    assert got == status, answer
    assert answer["error"]["where"] == "body"
    assert said in answer["error"]["what"]
    assert door.workspace.log.end() == before


def test_a_chunked_body_is_bounded_too(door: Api) -> None:
    chunks = (b"x" * 1_000_000 for _ in range(10))
    try:
        answer = door.pool.request("POST", EVENTS, body=chunks)
    except (urllib3.exceptions.ProtocolError, OSError):
        return  # the server answered and closed while we were still sending
    assert answer.status == 413


def test_lines_are_taken_as_they_come_however_many(door: Api) -> None:
    now, n_lines = wall_ms(), 25_000
    lines = [json.dumps({"order_id": f"s{number}", "placed_at": now, "shop": "a" * 200}) for number in range(n_lines)]
    lines[7], lines[20_000], lines[24_999] = "torn", lines[0], lines[24_999] + "\n\n  "
    before = door.workspace.log.end().offset("orders")
    text = "\n".join(lines).encode()
    assert len(text) > 4_000_000, "more than any other body may be"
    chunks = (text[begin : begin + 70_001] for begin in range(0, len(text), 70_001))
    answer = door.pool.request("POST", EVENTS, body=chunks, headers={"content-type": "application/x-ndjson"})
    said = json.loads(answer.data)
    assert (answer.status, [(one["index"], one["reason"]) for one in said["rejected"]]) == (200, [(7, "not_json")])
    assert door.workspace.log.end().offset("orders") == before + n_lines
    assert said["accepted"] + said["duplicates"] == n_lines - 1
    door.workspace.engine().drain(100_000)
    books = door.workspace.books()["orders"]
    assert books.balanced
    assert books.duplicate >= 1
    status, again = door.call("POST", EVENTS, "\n".join(lines[:100]), **{"content-type": "application/x-ndjson"})
    assert (status, again["accepted"], again["duplicates"]) == (200, 0, 99)


def test_a_line_without_an_end_is_refused_and_what_came_before_is_kept(door: Api) -> None:
    before = door.workspace.log.end().offset("orders")
    good = json.dumps({"order_id": "before", "placed_at": wall_ms(), "shop": "a"}).encode()
    headers = {"content-type": "application/x-ndjson"}
    try:
        answer = door.pool.request("POST", EVENTS, body=iter([good + b"\n", *[b"x" * 100_000] * 20]), headers=headers)
    except (urllib3.exceptions.ProtocolError, OSError):
        pass  # the server answered and closed while we were still sending
    else:
        assert (answer.status, json.loads(answer.data)["error"]["where"]) == (422, "line 1")
    assert door.workspace.log.end().offset("orders") == before + 1


@pytest.mark.parametrize(
    ("method", "path", "body", "known"),
    [
        ("POST", "/v1/streams/nowhere/events", "{}", "orders"),
        ("POST", "/v1/models/nobody/predict", "{}", "late_order"),
        ("GET", "/v1/models/nobody", None, "late_order"),
        ("GET", "/v1/features/nothing/a", None, "by_shop"),
    ],
)
def test_an_unknown_name_is_404_and_the_known_ones_are_named(door: Api, method: str, path: str, body: str | None, known: str) -> None:
    status, answer = door.call(method, path, body)
    assert status == 404
    assert known in answer["error"]["what"]


def test_without_a_champion_the_answer_says_what_to_do(door: Api) -> None:
    status, answer = door.call("POST", PREDICT, ASKED)
    assert status == 409
    assert "tidemill train late_order" in answer["error"]["what"]
    status, answer = door.call("GET", "/readyz")
    assert status == 503
    assert not answer["ready"] and answer["checks"]["stores"] == "ok"
    assert door.call("GET", "/healthz") == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("headers", "status", "where"),
    [
        ({"Host": "evil.example"}, 421, "header Host"),
        ({"Host": "127.0.0.1.evil.example:8000"}, 421, "header Host"),
        ({"Origin": "http://evil.example"}, 403, "header Origin"),
        ({"Origin": "null"}, 403, "header Origin"),
    ],
)
def test_another_host_or_origin_is_refused(door: Api, headers: dict[str, str], status: int, where: str) -> None:
    got, answer = door.call("POST", EVENTS, tiny.order("foreign", wall_ms()), **headers)
    assert (got, answer["error"]["where"]) == (status, where)


def test_its_own_origin_is_not(door: Api) -> None:
    assert door.call("GET", "/healthz", Origin=f"http://127.0.0.1:{door.port}")[0] == 200


def test_a_single_and_a_batch_prediction_agree(ready: Api) -> None:
    status, one = ready.call("POST", PREDICT, ASKED)
    assert status == 200, one
    assert set(one) == {"prediction_id", "prediction", "probability", "model_version", "position", "missing"}
    assert set(one["missing"]) == {"by_shop__mean_delay_3h"}, "its past lies years back"
    assert one["prediction"] == int(one["probability"] >= 0.5)
    others = [{**ASKED, "order_id": f"q{place}", "shop": tiny.SHOPS[place % 5]} for place in range(100)]  # enough to go to a thread
    status, many = ready.call("POST", PREDICT, [ASKED, *others])
    assert status == 200 and len(many) == 101
    assert many[0]["probability"] == pytest.approx(one["probability"], abs=1e-6)
    assert len({round(each["probability"], 3) for each in many}) > 1


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"order_id": "q", "amount": 1.0}, "0.shop"),
        ([ASKED, {**ASKED, "amount": "much"}], "1.amount"),
        ('{"order_id": "q", "shop": "a", "amount": NaN}', "0.amount"),
        ("{", "body"),
        ([], "body"),
        (b"\xff\xfe", "body"),
    ],
    ids=["missing", "wrong type", "NaN", "torn", "none", "bytes"],
)
def test_a_wrong_request_is_refused_with_its_place(ready: Api, body: object, where: str) -> None:
    before = ready.workspace.predictions.count("late_order")
    status, answer = ready.call("POST", PREDICT, body)
    assert status == 422, answer
    assert answer["error"]["where"] == where
    assert ready.workspace.predictions.count("late_order") == before


def test_only_a_replay_may_say_when_it_is_asked(ready: Api) -> None:
    status, answer = ready.call("POST", f"{PREDICT}?at={wall_ms()}", ASKED)
    assert (status, answer["error"]["where"]) == (422, "at")


def test_features_now_come_from_the_tiles_and_earlier_ones_from_the_lake(ready: Api) -> None:
    past = tiny.START_MS + 2 * DAY_MS + 3_600_500
    status, then = ready.call("GET", f"/v1/features/by_shop/a?at={past}")
    assert (status, then["source"], then["at_ms"]) == (200, "lake", past)
    told = [json.loads(entry.payload) for entry in tiny.history(0, 3) if entry.stream == "deliveries" and (entry.known_at_ms or 0) <= past]
    bucket_ms = tiny.BY_SHOP.features["n_3h"].bucket_ms
    assert bucket_ms == 300_000, "the window below is drawn for buckets of five minutes"
    floor = past // bucket_ms * bucket_ms
    mine = [one["delay_min"] for one in told if one["shop"] == "a" and floor - 3 * HOUR_MS <= one["delivered_at"] < floor + bucket_ms]
    assert then["values"]["n_3h"] == len(mine) > 0
    assert then["values"]["mean_delay_3h"] == pytest.approx(np.mean(mine))
    status, now = ready.call("GET", "/v1/features/by_shop/a")
    assert (status, now["source"], now["at_ms"]) == (200, "tiles", ready.workspace.now_ms())
    assert ready.call("GET", "/v1/features/by_shop/a,b")[0] == 422
    assert ready.call("GET", "/v1/features/by_shop/nobody")[1]["values"] == {"mean_delay_3h": None, "n_3h": 0.0}
    status, many = ready.call("POST", "/v1/features/by_shop", {"keys": ["a", "nobody", "a"]})
    assert status == 200
    assert [one["key"] for one in many] == ["a", "nobody", "a"]
    assert many[0] == many[2] == now
    assert ready.call("POST", "/v1/features/by_shop", {"keys": ["a"], "at": past})[1] == [then]
    for body, where in (
        ({"keys": []}, "keys"),
        ({"keys": [1]}, "keys.0"),
        ({"key": "a"}, "keys"),
        ({"keys": ["a,b"]}, "key"),
        ("no", "body"),
    ):
        status, answer = ready.call("POST", "/v1/features/by_shop", body)
        assert (status, answer["error"]["where"]) == (422, where), body
    assert (
        ready.call("POST", "/v1/features/by_shop", {"keys": ["a"] * 10_001})[1]["error"]["what"]
        == "keys: 10001 keys; send at most 10000 a request"
    )


def test_metrics_and_the_other_reads(ready: Api) -> None:
    status, text = ready.call("GET", "/metrics")
    assert status == 200
    assert f'tidemill_events{{outcome="applied",stream="orders"}} {5 * 24 * tiny.AN_HOUR:.1f}' in text
    status, about = ready.call("GET", "/v1/models/late_order")
    assert (status, about["registered_name"], about["versions"]) == (200, "tiny_trained.late_order", {"champion": 1, "frozen": 1})
    assert ready.call("GET", "/v1/decisions") == (200, [])
    assert ready.call("GET", "/v1/models/late_order/drift")[0] == 200


def test_a_champion_is_swapped_under_load_without_a_failed_request(ready: Api) -> None:
    answers: list[tuple[int, Any]] = []
    stop = threading.Event()

    def ask(worker: int) -> None:
        place = 0
        while not stop.is_set():
            place += 1
            question = {"order_id": f"w{worker}-{place}", "shop": tiny.SHOPS[place % 5], "amount": float(place % 90)}
            answers.append(ready.call("POST", PREDICT, question))

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in range(2)]
    for thread in threads:
        thread.start()
    try:
        _wait_for_version(answers, 1)
        ready.registry.promote("tiny_trained.late_order", 2)
        _wait_for_version(answers, 2)
        ready.registry.set_alias("tiny_trained.late_order", CHAMPION, 1)
        _wait_for_version(answers, 1)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {status for status, _ in answers} == {200}
    said = {int(answer["prediction_id"]): answer for _, answer in answers}
    assert {answer["model_version"] for answer in said.values()} == {1, 2}
    model = ready.workspace.project.models[0]
    served = ready.workspace.predictions.served("late_order", after_id=min(said) - 1)
    assert set(said) <= set(served.ids.tolist())
    vectors = vectors_of(model, served)
    by_version = {
        version: OnnxModel(ready.registry.load("tiny_trained.late_order", version).onnx, model.columns).score(vectors) for version in (1, 2)
    }
    assert np.abs(by_version[1] - by_version[2]).max() > 0.01, "two versions that say the same would prove nothing"
    for place, prediction_id in enumerate(served.ids.tolist()):
        if prediction_id in said:
            answer = said[prediction_id]
            assert answer["probability"] == pytest.approx(by_version[answer["model_version"]][place], abs=1e-6)


def _wait_for_version(answers: list[tuple[int, Any]], version: int) -> None:
    """Until the last of the next answers come from a version."""
    begin, until_s = len(answers), time.monotonic() + PATIENCE_S
    while not any(status == 200 and answer["model_version"] == version for status, answer in answers[begin + 20 :]):
        assert time.monotonic() < until_s, f"version {version} never answered"
        time.sleep(0.02)
