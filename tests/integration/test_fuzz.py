"""Whatever is sent, the server has an answer, one that its OpenAPI document tells of: nothing from outside is an error of its own.

`make fuzz CASES=2000` sends at least as many cases of the OpenAPI document, shared by its routes, with keys and without, and as many odd
bodies to each of three routes; here it is a tenth of that.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tests import tiny
from tests.documented import Document
from tidemill.clock import wall_ms
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving import Champions, Keyring, create_app
from tidemill.settings import Settings
from tidemill.stores import SCOPES, ApiKey
from tidemill.stores.api_key import hash_of, new_text, prefix_of

CASES = int(os.environ.get("FUZZ_CASES", "200"))
# the same cases each time but in `make fuzz`: a test must not fail by chance
IS_FRACTION = "FUZZ_CASES" not in os.environ
QUIETLY = settings(max_examples=CASES, derandomize=IS_FRACTION, deadline=None, database=None, suppress_health_check=list(HealthCheck))
BASE = "http://127.0.0.1:8000"


@dataclass
class Target:
    """A server that can predict, keys of each kind, and what it has answered."""

    workspace: Workspace
    client: TestClient
    document: Document
    keys: dict[str, str]
    answered: Counter[int] = field(default_factory=Counter)

    def send(self, method: str, path: str, route: str | None = None, **what: Any) -> int:
        """The status of an answer, which must be one; of a route of the document it must be as that says."""
        answer = self.client.request(method, path, **what)
        self.answered[answer.status_code] += 1
        assert answer.status_code < 500, f"{method} {path!r}: {answer.status_code} {answer.text[:500]}"
        if route is not None:
            assert not self.document.faults(route, answer.status_code, answer.headers["content-type"], answer.content), what
        status: int = answer.status_code
        return status


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[Target]:
    home: Path = tmp_path_factory.mktemp("fuzz")
    workspace, registry = Workspace.open(tiny.named("tiny_fuzz"), home), Registry(mlflow_uri, home)
    tiny.live(workspace, 0, 3)
    registry.promote("tiny_fuzz.late_order", tiny.train_version(workspace, registry))
    champions = Champions(workspace, registry, "test")
    champions.refresh(wall_ms())
    keys = {}
    for name, scopes in (("all", SCOPES), ("reader", ("read",))):
        text = new_text()
        workspace.keys.add(ApiKey(prefix_of(text) or "", name, scopes, "tiny_fuzz", "ann", 1), hash_of(text))
        keys[name] = text
    app = create_app(workspace, Settings(), champions, keyring=Keyring(workspace.keys))
    with TestClient(app, base_url=BASE, raise_server_exceptions=False) as client:
        yield Target(workspace, client, Document(app.openapi()), keys)
    workspace.close()


def test_no_case_of_the_document_is_an_error_of_the_server(target: Target) -> None:
    described = schemathesis.openapi.from_dict(target.document.made)
    routes = [(path, method, asked) for path, methods in target.document.made["paths"].items() for method, asked in methods.items()]
    routes.sort(key=lambda route: _open_ends(route[2]))  # what some cannot take is left for those after them
    before = target.answered.total()
    for number, (path, method, _) in enumerate(routes):
        left = CASES - (target.answered.total() - before)
        _try(target, described[path][method], path, max(1, math.ceil(left / (len(routes) - number))))
    assert target.answered.total() - before >= CASES
    assert target.answered[200]


def _open_ends(asked: dict[str, Any]) -> int:
    """How much of a route's requests is free; where nothing is there are few that differ."""
    return len(asked.get("parameters", [])) + ("requestBody" in asked)


KNOWN = {"stream": "orders", "model": "late_order", "view": "by_shop"}


def _cases(operation: Any, path: str) -> st.SearchStrategy[Any]:
    """Cases of a route as the document has it, of names that there are, and, where it takes a body, of what it should refuse."""
    known = {name: value for name, value in KNOWN.items() if f"{{{name}}}" in path}
    found = [operation.as_strategy(), operation.as_strategy(path_parameters=known)]
    if "/v1/streams" in path or path.endswith("predict"):
        found.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    return st.one_of(found)


def _try(target: Target, operation: Any, path: str, cases: int) -> None:
    @settings(QUIETLY, max_examples=cases)
    @given(case=_cases(operation, path), who=st.sampled_from(["all", "all", "reader", ""]))
    def send(case: Any, who: str) -> None:
        asked = case.as_transport_kwargs(base_url=BASE)
        headers = {name: value for name, value in asked.get("headers", {}).items() if name.lower() != "authorization"}
        if who:
            headers["authorization"] = f"Bearer {target.keys[who]}"
        body = {name: asked[name] for name in ("json", "data", "files", "params") if asked.get(name) is not None}
        if isinstance(body.get("data"), bytes | str):
            body["content"] = body.pop("data")
        scope = target.document.made["paths"][case.path][case.method.lower()].get("x-scope")
        status = target.send(case.method, asked["url"].removeprefix(BASE), f"{case.method} {case.path}", headers=headers, **body)
        may = scope is None or who == "all" or (who, scope) == ("reader", "read")
        assert (status in (401, 403)) == (not may), (case.method, case.path, who, status)

    send()


DEEP = st.integers(1, 3_000).map(lambda depth: "[" * depth + "]" * depth)
NUMBERS = st.one_of(
    st.sampled_from(["1e999", "-1e999", "NaN", "Infinity", "1" * 5_000, "-0", "1e-400", "9007199254740993", "0.1" + "0" * 3_000]),
    st.integers(-(10**40), 10**40).map(str),
)
STRANGE = ["\ud800", "\x00", "\u2028", "a" * 70_000, "'; drop table api_keys; --", "é" * 9_000]
TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(STRANGE))
NESTED = st.lists(st.integers(), max_size=3) | st.dictionaries(st.text(max_size=5), st.none(), max_size=3)
PLAIN = st.one_of(st.none(), st.booleans(), TEXTS, NESTED)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """Something like an event: the right fields, mostly, with values of any kind, in an encoding of any kind."""
    fields = draw(st.lists(st.sampled_from(["order_id", "placed_at", "shop", "amount", "other"]), max_size=6))
    values = [draw(st.one_of(PLAIN.map(lambda value: json.dumps(value)), NUMBERS, DEEP)) for _ in fields]
    text = "{" + ", ".join(f'"{name}": {value}' for name, value in zip(fields, values, strict=True)) + "}"
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-16", "utf-8-sig", "utf-32"])), "surrogatepass")


BODIES = st.one_of(
    st.binary(max_size=300),
    events(),
    st.lists(events(), max_size=4).map(lambda many: b"[" + b",".join(many) + b"]"),
    st.lists(events(), max_size=4).map(b"\n".join),
    DEEP.map(str.encode),
    NUMBERS.map(lambda number: f"[{number}]".encode()),
)
KINDS = st.sampled_from(["application/json", "application/x-ndjson", "text/plain", "application/x-www-form-urlencoded", "", "é"])


@pytest.mark.parametrize("path", ["/v1/streams/{stream}/events", "/v1/models/{model}/predict", "/v1/features/{view}"])
def test_no_body_is_an_error_of_the_server(target: Target, path: str) -> None:
    @QUIETLY
    @given(body=BODIES, kind=KINDS)
    def send(body: bytes, kind: str) -> None:
        headers = {"authorization": f"Bearer {target.keys['all']}", "content-type": kind.encode("latin-1")}
        status = target.send("POST", path.format(**KNOWN), f"POST {path}", content=body, headers=headers)
        assert status not in (401, 403)

    send()


@QUIETLY
@given(raw=st.binary(max_size=60), who=st.booleans())
def sendable(target: Target, raw: bytes, who: bool) -> None:
    """Any bytes where a path, a query, a key or a cookie is read."""
    shown = b"Bearer " + bytes(byte for byte in raw if byte not in b"\r\n\x00")
    headers = {"authorization": shown} if who else {"cookie": shown}
    quoted = "".join(f"%{byte:02x}" for byte in raw)
    for path in (f"/{quoted}", f"/v1/features/by_shop/{quoted}", f"/v1/decisions?limit={quoted}", f"/v1/features/by_shop/a?at={quoted}"):
        target.send("GET", path, headers=headers)
        target.send("GET", path, headers={"authorization": f"Bearer {target.keys['all']}"})


def test_no_path_query_or_header_is_an_error_of_the_server(target: Target) -> None:
    sendable(target)


def test_the_books_balance_after_all_of_it(target: Target) -> None:
    target.workspace.engine().drain(10_000)
    books = target.workspace.books()
    assert books["orders"].received > 0
    assert all(of.balanced and not of.pending for of in books.values())
    told = target.client.get("/metrics", headers={"authorization": f"Bearer {target.keys['all']}"}).text
    assert "tidemill_standing_readable 1.0" in told
