"""The way through the server to a console and back, with a program in the console's place that tells what it was asked."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from fastapi import FastAPI, Request, Response

from tests.behind_login import MAX_BODY_BYTES, BehindLogin, behind_login
from tests.browser.site import Server

PACKED = gzip.compress(b"a" * 200_000)


@dataclass
class Asked:
    """What the program in a console's place was asked."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Site:
    """The server, the program behind it, and keys."""

    behind: BehindLogin
    asked: Asked
    console: Server
    keys: dict[str, str]

    def ask(self, method: str, path: str, key: str = "", body: bytes | None = None, **headers: str) -> tuple[HTTPResponse, bytes]:
        """Send the very path."""
        connection = HTTPConnection(urlsplit(self.behind.url).netloc, timeout=60)
        shown = {"authorization": f"Bearer {self.keys[key]}"} if key else {}
        try:
            connection.request(method, path, body, {**shown, **{name.replace("_", "-"): value for name, value in headers.items()}})
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def sign_in(self, key: str) -> str:
        """The cookie of a session."""
        door, page = self.ask("GET", "/ui/login")
        token = re.search(rb'name="token" value="([0-9a-f]{64})"', page)
        assert token is not None
        visitor = str(door.headers["set-cookie"]).partition(";")[0]
        form = urlencode({"key": self.keys[key], "token": token[1].decode()}).encode()
        signed, _ = self.ask("POST", "/ui/login", body=form, cookie=visitor, content_type="application/x-www-form-urlencoded")
        assert signed.status == 303
        return str(signed.headers["set-cookie"]).partition(";")[0]


def telling(asked: Asked) -> FastAPI:
    """The program in the console's place."""
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
    async def told(request: Request, path: str) -> Response:
        asked.paths.append(f"{request.method} {request.scope['raw_path'].decode()}?{request.url.query}")
        asked.headers, asked.body = dict(request.headers), await request.body()
        given: dict[str, Any] = {
            "away": (302, {"location": "https://elsewhere.test/"}),
            "back": (307, {"location": f"{asked.url}/there?x=1"}),
            "cookie": (200, {"set-cookie": "tidemill_session=theirs; Path=/", "content-security-policy": "default-src *"}),
            "packed": (200, {"content-encoding": "gzip"}),
        }
        status, headers = given.get(path, (200, {}))
        return Response(PACKED if path == "packed" else b"told", status, headers)

    return app


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    asked = Asked()
    console = Server.of(telling(asked), lambda: None)
    asked.url = console.url.rstrip("/")
    with behind_login(tmp_path_factory.mktemp("consoles"), asked.url, f"{asked.url}/api") as behind:
        keys = {scope: behind.key(scope, scope) for scope in ("ingest", "predict", "read", "operate")}
        yield Site(behind, asked, console, keys | {"both": behind.key("ann", "read", "operate")})
    console.stop()


@pytest.mark.parametrize("path", ["/mlflow/", "/mlflow/ajax-api/2.0/mlflow/runs/search", "/prefect/", "/prefect/api/flows/filter"])
def test_nobody_else_comes_in(site: Site, path: str) -> None:
    before = len(site.asked.paths)
    for method in ("GET", "POST", "DELETE"):
        assert site.ask(method, path)[0].status == 401
        assert site.ask(method, path, cookie="tidemill_session=made-up")[0].status == 401
        assert [site.ask(method, path, key)[0].status for key in ("ingest", "predict")] == [403, 403]
    assert site.ask("OPTIONS", path)[0].status == 401
    assert len(site.asked.paths) == before, "nothing was asked"
    looked, _ = site.ask("GET", f"{path}?a=/b&c", accept="text/html,*/*")
    assert (looked.status, looked.headers["location"]) == (303, f"/ui/login?to={path}%3Fa%3D/b%26c")


def test_what_goes_on_is_the_request_without_what_is_ours(site: Site) -> None:
    told, body = site.ask("POST", "/prefect/api/flows/filter?a=%2Fb&c", "read", b'{"limit": 3}', cookie="a=1")
    assert (told.status, body, site.asked.body) == (200, b"told", b'{"limit": 3}')
    assert site.asked.paths[-1] == "POST /api/flows/filter?a=%2Fb&c"
    known = site.asked.headers
    assert (known["host"], known["x-forwarded-for"], known["x-forwarded-proto"]) == (urlsplit(site.asked.url).netloc, "127.0.0.1", "http")
    assert known["x-forwarded-host"] == urlsplit(site.behind.url).netloc
    assert not {"authorization", "cookie", "origin"} & known.keys()
    site.ask("GET", "/mlflow/a%20b/%C3%A9", "read")
    assert site.asked.paths[-1] == "GET /a%20b/%C3%A9?"


def test_what_comes_back_has_our_policy_and_no_cookie_of_theirs(site: Site) -> None:
    told, _ = site.ask("GET", "/mlflow/cookie", "read")
    assert told.status == 200 and told.headers["set-cookie"] is None
    (policy,) = told.headers.get_all("content-security-policy") or []
    assert f"connect-src {urlsplit(site.behind.url).netloc}/mlflow/ " in policy
    assert told.headers["cross-origin-opener-policy"] is None, "so that our page cuts it off"
    told, packed = site.ask("GET", "/mlflow/packed", "read", accept_encoding="gzip")
    assert (told.headers["content-encoding"], packed) == ("gzip", PACKED)


def test_an_answer_that_leads_elsewhere_is_not_passed_on(site: Site) -> None:
    told, body = site.ask("GET", "/mlflow/away", "read")
    assert (told.status, told.headers["location"]) == (502, None)
    assert "not its own" in json.loads(body)["error"]["what"]
    told, _ = site.ask("GET", "/mlflow/back", "read")
    assert (told.status, told.headers["location"]) == (307, "/mlflow/there?x=1")


@pytest.mark.parametrize(
    "path",
    [
        "/mlflow/../../etc/passwd",
        "/mlflow/%2e%2e/admin",
        "/mlflow/%252e%252e/admin",
        "/mlflow//elsewhere.test/",
        "/mlflow/http://elsewhere.test/",
        "/mlflow/%5c%5celsewhere.test",
        "/prefect/api/%2e%2e%2fadmin",
        "/mlflow/a%0dHost:%20elsewhere.test",
        "/mlflow/ajax-api/3.0/mlflow/assistant/config",
    ],
)
def test_a_path_that_leads_elsewhere_asks_nobody(site: Site, path: str) -> None:
    before = len(site.asked.paths)
    assert site.ask("GET", path, "both")[0].status in (403, 422)
    assert len(site.asked.paths) == before


def test_a_whole_address_in_the_request_is_asked_of_the_console_all_the_same(site: Site) -> None:
    told, _ = site.ask("GET", "http://elsewhere.test/mlflow/x", "read", host=urlsplit(site.behind.url).netloc)
    assert told.status == 200
    assert (site.asked.paths[-1], site.asked.headers["host"]) == ("GET /x?", urlsplit(site.asked.url).netloc)


def test_a_big_body_is_refused(site: Site) -> None:
    path, much = "/mlflow/api/2.0/mlflow/runs/log-batch", b"a" * (MAX_BODY_BYTES + 1)
    assert site.ask("POST", path, "both", much)[0].status == 413
    connection = HTTPConnection(urlsplit(site.behind.url).netloc, timeout=60)
    try:  # in chunks, without saying before how long it is
        headers = {"authorization": f"Bearer {site.keys['both']}"}
        connection.request("POST", path, iter([much[:60_000], much[60_000:]]), headers, encode_chunked=True)
        assert connection.getresponse().status == 413
    finally:
        connection.close()


def test_a_change_is_for_who_may_operate_and_is_written_down(site: Site) -> None:
    path = "/mlflow/ajax-api/2.0/mlflow/experiments/create"
    assert site.ask("POST", path, "read", b"{}")[0].status == 403
    assert site.ask("POST", path, "both", b"{}")[0].status == 200
    (act,) = site.behind.workspace.acts.recent(1)
    assert (act.by, act.act, act.about, act.status) == ("ann", "POST /mlflow/{path:path}", path, 200)


def test_a_session_changes_something_from_our_own_pages_alone(site: Site) -> None:
    cookie, path = site.sign_in("both"), "/prefect/api/flows/3"
    assert site.ask("GET", "/prefect/v2/runs", cookie=cookie)[0].status == 200
    assert "cookie" not in site.asked.headers
    before, own = len(site.asked.paths), site.behind.url
    assert site.ask("DELETE", path, cookie=cookie)[0].status == 403, "no Origin: no browser says where this is from"
    assert site.ask("DELETE", path, cookie=cookie, origin="https://elsewhere.test")[0].status == 403
    assert site.ask("DELETE", path, cookie=cookie, origin="null")[0].status == 403
    assert site.ask("DELETE", path, cookie=cookie, origin=own, sec_fetch_site="same-site")[0].status == 403
    assert len(site.asked.paths) == before
    assert site.ask("DELETE", path, cookie=cookie, origin=own, sec_fetch_site="same-origin")[0].status == 200
    assert site.ask("DELETE", path, cookie=cookie, origin=own)[0].status == 200
    reader = site.sign_in("read")
    assert site.ask("DELETE", path, cookie=reader, origin=own)[0].status == 403
    assert site.ask("POST", "/v1/features/by_shop", cookie=cookie, origin=own)[0].status == 403, "the API takes keys alone"


def test_one_that_is_away_is_told_of_with_its_place(site: Site, tmp_path: Path) -> None:
    gone = Server.of(telling(Asked()), lambda: None)
    gone.stop()
    with behind_login(tmp_path, gone.url, f"{gone.url}api") as behind:
        away = Site(behind, site.asked, gone, {"read": behind.key("guest", "read")})
        told, body = away.ask("GET", "/mlflow/version", "read")
        error = json.loads(body)["error"]
        assert (told.status, error["where"]) == (502, "MLflow")
        assert f"MLflow at {gone.url.rstrip('/')} does not answer" in error["what"] and "TIDEMILL_MLFLOW__URI" in error["what"]
        told, body = away.ask("GET", "/prefect/", "read", accept="text/html")
        assert told.status == 502 and told.headers["content-type"].startswith("text/html")
        assert b"<h1>Prefect does not answer</h1>" in body and b"TIDEMILL_PREFECT__API_URL" in body
        assert "frame-ancestors 'none'" in told.headers["content-security-policy"]
