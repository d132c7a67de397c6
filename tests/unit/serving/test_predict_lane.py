"""The short way of a predict request says what FastAPI's route says, to the byte: whatever is sent, by whomever, in whatever pieces."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.unit.serving.predict_site import ASKED, BODY, MOST_BYTES, PATH, Site, asked, open_site, scope_of

BY_ROUTE = b"explain=false"  # says nothing, but a query is left to FastAPI


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("lane")) as opened:
        yield opened


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["a", "b", "q1", 20.0])
REQUESTS = st.fixed_dictionaries({}, optional={"order_id": VALUES, "shop": VALUES, "amount": VALUES, "extra": VALUES})
WELL = st.fixed_dictionaries({"order_id": st.text(max_size=5), "shop": st.sampled_from("abx"), "amount": st.none() | st.floats(0, 100)})
ASKING = WELL | st.lists(WELL, max_size=7) | REQUESTS | st.lists(WELL | REQUESTS, max_size=3)
BODIES = ASKING.map(lambda asked: json.dumps(asked, ensure_ascii=False).encode("utf-8", "replace"))
BODIES |= st.binary(max_size=30) | BODIES.map(lambda body: b" " + body + b"\n") | BODIES.map(lambda body: body * 30)
KEYS = st.sampled_from(["all", "all", "all", "reader", None, "tm_nothing", ""])
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from(["localhost", "evil.example", "", "[::1]:8000"]),
        "origin": st.sampled_from(["http://127.0.0.1:8000", "https://evil.example", "null", "http://[x"]),
        "content_length": st.sampled_from(["0", "37", "1999", "2001", "-1", "x", "9" * 20]),
        "content_type": st.sampled_from(["application/json", "text/plain", "application/x-ndjson", "multipart/form-data"]),
        "cookie": st.sampled_from(["tidemill_session=x", ";;=", "a=1"]),
        "transfer_encoding": st.just("chunked"),
    },
)
PATHS = st.sampled_from([PATH] * 6 + ["/v1/models/nobody/predict", "/v1/models/ü/predict", f"{PATH}\n", f"{PATH}/", "/v1/models//predict"])


@given(body=BODIES, key=KEYS, more=HEADERS, path=PATHS, cuts=st.lists(st.integers(0, 3_000), max_size=3))
@example(body=BODY, key="all", more={}, path=PATH, cuts=[])
@example(body=b"[" + BODY + b"]", key="all", more={}, path=PATH, cuts=[1, 20])
@example(body=BODY.replace(b"20.0", b"NaN"), key="all", more={}, path=PATH, cuts=[])
@example(body=BODY + b" " * MOST_BYTES, key="all", more={}, path=PATH, cuts=[1_000])
@settings(max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_both_ways_say_the_same(site: Site, body: bytes, key: str | None, more: dict[str, str], path: str, cuts: list[int]) -> None:
    ends = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    chunks = [body[begin:end] for begin, end in pairwise(ends)]
    headers = site.headers(key, **more)
    lane, route = (site.ask(path, query, headers, chunks) for query in (b"", BY_ROUTE))
    assert (lane.status, lane.known()) == (route.status, route.known())
    if lane.status != 200:
        known = [(name, value.removesuffix(b"?" + BY_ROUTE)) for name, value in route.headers]  # where it sends elsewhere, with the query
        assert (lane.headers, lane.body) == (known, route.body)
    else:
        assert [one for one in lane.headers if one[0] != b"content-length"] == [one for one in route.headers if one[0] != b"content-length"]
        assert dict(lane.headers)[b"content-length"] == str(len(lane.body)).encode()


def test_both_ways_log_the_same(site: Site) -> None:
    before = site.workspace.predictions.last_id()
    many = json.dumps([ASKED, {"order_id": "q2", "shop": "nobody", "amount": None}]).encode()
    for query in (b"", BY_ROUTE):
        assert site.ask(PATH, query, site.headers(), [many]).status == 200
    logged = site.workspace.predictions.served("late_order", after_id=before)
    assert logged.keys == ["q1", "q2"] * 2
    assert logged.requests[:2] == logged.requests[2:]
    assert logged.numbers[:2].tobytes() == logged.numbers[2:].tobytes()
    assert logged.scores[:2].tobytes() == logged.scores[2:].tobytes()


@pytest.mark.parametrize("query", [b"", BY_ROUTE])
def test_whoever_goes_before_the_end_of_a_body_is_not_answered_and_nothing_is_logged(site: Site, query: bytes) -> None:
    before = site.workspace.predictions.last_id()

    async def half() -> list[dict[str, Any]]:
        waiting: list[dict[str, Any]] = [{"type": "http.request", "body": BODY[:10], "more_body": True}, {"type": "http.disconnect"}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return waiting.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await site.app(scope_of(PATH, query, site.headers()), receive, send)  # type: ignore[arg-type]  # Starlette's names for the same
        return sent

    assert asyncio.run(half()) == []
    assert site.workspace.predictions.last_id() == before


@pytest.mark.parametrize("query", [b"", BY_ROUTE])
def test_a_body_that_grows_past_the_limit_is_refused_before_it_has_come(site: Site, query: bytes) -> None:
    told = site.ask(PATH, query, site.headers(), [b" " * 999, b" " * 999, b" " * 999, *[b"never read"] * 1_000])
    assert (told.status, json.loads(told.body)["error"]["where"]) == (413, "body")


def test_a_slow_body_holds_up_nobody(site: Site) -> None:
    async def ask() -> tuple[int, int]:
        answered, statuses = asyncio.Event(), list[int]()
        waiting: list[dict[str, Any]] = [{"type": "http.request", "body": BODY[:10], "more_body": True}]

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop(0)
            await answered.wait()
            return {"type": "http.request", "body": BODY[10:], "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if "status" in message:
                statuses.append(message["status"])

        slow = asyncio.create_task(site.app(scope_of(PATH, b"", site.headers()), receive, send))  # type: ignore[arg-type]
        quick = await asked(site.app, scope_of(PATH, b"", site.headers()), [BODY])
        answered.set()
        await slow
        return quick.status, statuses[0]

    assert asyncio.run(ask()) == (200, 200)


def test_requests_leave_nothing_to_the_garbage_collector(site: Site) -> None:
    """No scope of a request waits for it, whatever other threads of this process leave behind meanwhile."""

    async def ask_often(times: int) -> None:
        for _ in range(times):
            assert (await asked(site.app, scope_of(PATH, b"", site.headers()), [BODY])).status == 200

    def is_scope(found: object) -> bool:
        return isinstance(found, dict) and found.get("path") == PATH

    async def left_by(times: int) -> int:
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await ask_often(times)
            gc.collect()
            return sum(map(is_scope, gc.garbage))
        finally:
            gc.set_debug(0)
            gc.garbage.clear()

    asyncio.run(ask_often(2))  # what is made once
    assert asyncio.run(left_by(20)) == 0
