"""Who may call what: every route has a scope, and refuses whoever has not got it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pytest
from fastapi import APIRouter
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from tests import tiny
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving import Champions, Keyring, create_app
from tidemill.serving.console_scopes import CONSOLE_ROUTES, CONSOLES
from tidemill.serving.scopes import ROUTES, route_of
from tidemill.settings import MlflowSettings, PrefectSettings, ServerSettings, Settings
from tidemill.stores import SCOPES, Alert, ApiKey
from tidemill.stores.api_key import check_scopes, hash_of, new_text, prefix_of
from tidemill.ui import InWords, OverviewReader, alert_router, login_router, model_router, page_router
from tidemill.ui.page import HEADERS

BASE = "http://127.0.0.1:8000"
FILLED = {"stream": "orders", "view": "by_shop", "key": "a", "model": "late_order", "path:path": "app.css", "part": "streams"}
# of the many routes of the consoles, which share one endpoint, those that stand for the others
OURS = {name: scope for name, scope in ROUTES.items() if name not in CONSOLE_ROUTES or name.endswith(("{path:path}", "/graphql"))}
GUARDED = [(name, scope) for name, scope in OURS.items() if scope is not None]


@dataclass
class Site:
    """The whole application as `tidemill serve` makes it, keys asked for."""

    workspace: Workspace
    client: TestClient
    settings: Settings

    def key(self, *scopes: str, name: str = "") -> str:
        text = new_text()
        key = ApiKey(prefix_of(text) or "", name or "-".join(scopes), check_scopes([*scopes]), "tiny", "ann", 1)
        self.workspace.keys.add(key, hash_of(text))
        return text

    def call(self, route: str, key: str | None = None) -> tuple[int, str]:
        method, path = route.split(" ")
        for name, value in FILLED.items():
            path = path.replace(f"{{{name}}}", value)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        answer = self.client.request(method, path, headers=headers)
        return answer.status_code, answer.text


def build(workspace: Workspace, settings: Settings, extra: Sequence[APIRouter] = ()) -> TestClient:
    champions = Champions(workspace, Registry("http://127.0.0.1:9", workspace.home), "test")
    reader, keyring = OverviewReader(workspace, settings), Keyring(workspace.keys)
    pages = page_router(reader.read)
    actions = (alert_router(workspace, reader.forget), model_router(workspace, champions.registry, reader.forget))
    for router in (*actions, login_router(keyring), *extra):
        pages.include_router(router)
    app = create_app(workspace, settings, champions, pages, keyring)
    app.add_middleware(InWords)
    return TestClient(app, base_url=BASE, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    workspace = Workspace.open(tiny.project, tmp_path_factory.mktemp("access"))
    tiny.live(workspace, 0, 1)
    workspace.alerts.raise_alert(Alert("a1", "late_order", "warning", "it has moved", "1 against 2", "", 1))
    nobody = "http://127.0.0.1:9"
    settings = Settings(mlflow=MlflowSettings(uri=nobody), prefect=PrefectSettings(api_url=f"{nobody}/api"))
    with patch.dict(os.environ, {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}):  # no registry is up, and nobody is to wait for one
        yield Site(workspace, build(workspace, settings), settings)
    workspace.close()


@pytest.fixture(scope="module")
def all_but(site: Site) -> dict[str, tuple[str, str]]:
    """By scope, a key that has it alone, and one that has every other."""
    return {one: (site.key(one), site.key(*(other for other in SCOPES if other != one))) for one in SCOPES}


@pytest.fixture(autouse=True)
def as_nobody(site: Site) -> None:
    site.client.cookies.clear()


def test_every_route_has_a_scope_and_every_scope_a_route(site: Site) -> None:
    app = site.client.app
    found = {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)  # type: ignore[attr-defined]  # TestClient says only that it is an ASGI application
        for method in (route.methods or {"ANY"}) - {"HEAD"}
    }
    assert found == set(ROUTES)


def test_an_application_with_a_route_that_has_none_does_not_start(site: Site) -> None:
    router = APIRouter()
    router.add_api_route("/v1/secrets", lambda: "all of them", methods=["GET"])
    with pytest.raises(LookupError, match="'GET /v1/secrets' has no scope"):
        build(site.workspace, site.settings, [router])


@pytest.mark.parametrize(("route", "scope"), GUARDED)
def test_a_route_is_for_keys_that_have_its_scope(site: Site, all_but: dict[str, tuple[str, str]], route: str, scope: str) -> None:
    alone, others = all_but[scope]
    status, text = site.call(route)
    assert (status, "no key that stands" in text) == (401, True) if route != "GET /" else status == 303
    assert site.call(route, new_text())[0] in (401, 303)
    assert site.call(route, others)[0] == 403
    assert site.call(route, alone)[0] not in (401, 403) or "/ui/" in route, "a form asks for its token as well"


@pytest.mark.parametrize("route", [name for name, scope in ROUTES.items() if scope is None and name.startswith("GET")])
def test_what_is_for_everybody_tells_nothing_of_the_project(site: Site, route: str) -> None:
    status, text = site.call(route)
    assert status in (200, 503)
    assert "late_order" not in text


def test_readiness_tells_why_only_to_those_who_may_read(site: Site, all_but: dict[str, tuple[str, str]]) -> None:
    assert site.client.get("/readyz").json() == {"ready": False}
    told = site.client.get("/readyz", headers={"authorization": f"Bearer {all_but['read'][0]}"}).json()
    assert "model late_order" in told["checks"]


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/views/", "//v1/views", "/V1/views", "/v1/views/%2e%2e/decisions", "/admin"])
def test_what_is_no_route_is_refused_before_it_is_looked_for(site: Site, path: str) -> None:
    assert site.client.get(path).status_code == 401


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_another_method_is_no_way_around(site: Site, method: str) -> None:
    for route in ROUTES:
        path = route.split(" ")[1]
        named = f"{method} {path}" if f"{method} {path}" in ROUTES else None
        if path.startswith(CONSOLES) and method in ("PUT", "DELETE", "PATCH"):
            named = f"{method} /{path.split('/')[1]}/{{path:path}}"
            assert ROUTES[named] == "operate"
        assert route_of(method, path) == named
        if OURS.get(route) is not None:
            assert site.client.request(method, path.replace("{", "").replace("}", "")).status_code == 401


@pytest.mark.parametrize(
    ("accept", "status", "location"),
    [("text/html,*/*", 303, "/ui/login?to=/docs"), ("application/json", 401, None)],
    ids=["browser", "program"],
)
def test_whoever_looks_at_the_docs_is_led_to_the_door(site: Site, accept: str, status: int, location: str | None) -> None:
    answer = site.client.get("/docs", headers={"accept": accept}, follow_redirects=False)
    assert (answer.status_code, answer.headers.get("location")) == (status, location)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer tm_x", "bearer \xff", "Bearer " + "a" * 5_000])
def test_a_header_that_holds_no_key_is_refused(site: Site, header: str) -> None:
    answer = site.client.get("/v1/views", headers={"authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"], "what has no page of its own is no looser"


def test_browsers_are_told_of_https_where_the_settings_name_a_certificate(site: Site) -> None:
    with_tls = ServerSettings(tls_cert_file="cert.pem", tls_key_file="key.pem")
    for server, told in ((ServerSettings(), None), (with_tls, "max-age=31536000")):
        answer = build(site.workspace, Settings(server=server)).get("/healthz")
        assert answer.headers.get("strict-transport-security") == told


def test_a_key_of_another_project_opens_nothing(site: Site) -> None:
    text = new_text()
    site.workspace.keys.add(ApiKey(prefix_of(text) or "", "foreign", ("read",), "elsewhere", "eve", 1), hash_of(text))
    assert site.call("GET /v1/views", text)[0] == 401


def sign_in(site: Site, key: str, door: str = "/ui/login") -> int:
    return int(signed_in(site, key, door).status_code)


def signed_in(site: Site, key: str, door: str) -> Any:
    page = site.client.get(door).text
    token, action = re.search(r'name="token" value="([0-9a-f]{64})"', page), re.search(r'method="post" action="([^"]+)"', page)
    assert token is not None and action is not None
    return site.client.post(unescape(action[1]), data={"key": key, "token": token[1]})


@pytest.mark.parametrize("to", ["/mlflow/runs?a=/b&c=%2F", "/prefect/api/x?q=a%20b'\"", "/"])
def test_signing_in_leads_to_what_was_wanted(site: Site, to: str) -> None:
    door = f"/ui/login?to={quote(to)}"
    assert signed_in(site, new_text(), door).status_code == 403
    assert signed_in(site, site.key("read", name=f"goes {to[:30]!r}"), door).headers["location"] == to


@pytest.mark.parametrize(
    "to", ["", "//evil.test", "/\\evil.test", "https://evil.test", "/\t/evil.test", "evil", "/a\r\nx: y", "/" + "a" * 3_000]
)
def test_signing_in_leads_nowhere_else(site: Site, to: str) -> None:
    assert signed_in(site, site.key("read", name=f"goes {to[:30]!r}"), f"/ui/login?to={quote(to)}").headers["location"] == "/"


def test_the_page_asks_for_a_key_and_remembers_it(site: Site) -> None:
    first = site.client.get("/")
    assert (first.status_code, first.headers["location"]) == (303, "/ui/login")
    assert sign_in(site, new_text()) == 403
    key = site.key("read", "operate", name="ann")
    assert sign_in(site, key) == 303
    page = site.client.get("/")
    assert (page.status_code, "Sign out" in page.text, "Your name" in page.text) == (200, True, False)
    cookie = next(one for one in site.client.cookies.jar if one.name == "tidemill_session")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite", "").lower() == "lax"
    assert key not in str(site.client.cookies.jar)
    assert site.client.post("/v1/features/by_shop", json={"keys": ["a"]}).status_code == 403, "the cookie opens forms alone"
    token = re.search(r'name="token" value="([0-9a-f]{64})"', page.text)
    assert token is not None
    sent = {"key": "a1", "token": token[1], "by": "somebody else"}
    assert site.client.post("/ui/alerts/ack", data={**sent, "token": "0" * 64}).status_code == 403
    assert site.client.post("/ui/alerts/ack", data=sent).status_code == 303
    assert [one.acked_by for one in site.workspace.alerts.recent()] == ["ann"], "the key's name, whatever was written"
    done, refused = site.workspace.acts.recent(2)
    assert (done.by, done.act, done.about, done.status) == ("ann", "POST /ui/alerts/ack", "a1", 303)
    assert done.via == f"page, key {prefix_of(key)}"
    assert (refused.by, refused.status) == ("ann", 403)
    assert site.client.post("/ui/logout", data={"token": token[1]}).status_code == 303
    assert site.client.get("/").status_code == 303


def test_a_key_that_may_not_see_the_page_does_not_sign_in(site: Site) -> None:
    answer = signed_in(site, site.key("ingest", "operate", name="feeder"), "/ui/login")
    assert (answer.status_code, "'feeder' may ingest, operate; the page asks for read" in unescape(answer.text)) == (403, True)
    assert 'name="key"' in answer.text, "another can be entered"
    assert site.client.get("/").headers["location"] == "/ui/login", "and no session stands in its way"


def test_a_form_of_a_session_that_has_ended_leads_to_the_door_which_says_so(site: Site) -> None:
    answer = site.client.post("/ui/alerts/ack", data={"key": "a1"}, headers={"accept": "text/html,*/*"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/login?ended=yes")
    assert "Your session had ended, so nothing was done." in site.client.get(answer.headers["location"]).text
    assert site.client.post("/ui/alerts/ack", data={"key": "a1"}, headers={"accept": "application/json"}).status_code == 401


def test_a_form_that_is_refused_is_told_of_in_words_to_a_browser(site: Site) -> None:
    browser, program = {"accept": "text/html,*/*"}, {"accept": "application/json"}
    assert sign_in(site, site.key("read", name="<guest>")) == 303
    words = "'<guest>' may read; this asks for operate"
    told = site.client.post("/ui/models/late_order/freeze", headers=browser)
    assert (told.status_code, told.headers["content-type"], told.headers["cache-control"]) == (403, "text/html; charset=utf-8", "no-store")
    assert "<h1" in told.text and words in unescape(told.text) and "<guest>" not in told.text
    assert told.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert site.client.post("/ui/models/late_order/freeze", headers=program).json()["error"]["what"] == words
    sent: dict[int, dict[str, Any]] = {
        403: {"headers": {"origin": "https://elsewhere.example"}},
        413: {"content": b" " * 5_000_000},
        421: {"headers": {"host": "elsewhere.example"}},
    }
    for status, what in sent.items():
        told = site.client.post("/ui/alerts/ack", **{**what, "headers": {**browser, **what.get("headers", {})}})
        assert (told.status_code, "Back to the overview" in told.text) == (status, True), told.text
    assert site.client.post("/v1/features/by_shop", headers=browser).headers["content-type"] == "application/json", "it is no form"


@pytest.mark.parametrize("beside", ["theme=dark mode", 'seen={"a": 1}', "a@[]=1", "lang", "Path=/", 'half="a'])
def test_a_cookie_of_another_page_on_this_machine_signs_nobody_out(site: Site, beside: str) -> None:
    assert sign_in(site, site.key("read", name=f"beside {beside.encode().hex()}")) == 303
    own = next(one.value for one in site.client.cookies.jar if one.name == "tidemill_session")
    site.client.cookies.clear()
    assert site.client.get("/", headers={"cookie": f"{beside}; tidemill_session={own}"}).status_code == 200


def test_who_tries_what_their_key_may_not_is_written_down(site: Site) -> None:
    key = site.key("read", name="curious")
    assert site.call("POST /v1/models/{model}/rollback", key)[0] == 403
    assert site.call("POST /v1/streams/{stream}/events", key)[0] == 403, "not what would not be an act"
    act = site.workspace.acts.recent(1)[0]
    assert (act.by, act.via, act.act) == ("curious", f"key {prefix_of(key)}", "POST /v1/models/{model}/rollback")
    assert (act.about, act.status) == ("/v1/models/late_order/rollback", 403)
    assert site.call("POST /v1/models/{model}/rollback", key)[0] == 403
    assert site.call("POST /v1/models/{model}/promote", key)[0] == 403
    newest = [one.act.rpartition("/")[2] for one in site.workspace.acts.recent(2)]
    assert newest == ["promote", "rollback"], "of each route one a minute: nothing else bounds how many there are"


def test_who_may_only_read_sees_no_form(site: Site) -> None:
    assert sign_in(site, site.key("read", name="guest")) == 303
    page = site.client.get("/").text
    assert 'action="/ui/alerts' not in page
    assert "guest" in page


def test_the_document_says_how_to_come_in(site: Site, all_but: dict[str, tuple[str, str]]) -> None:
    made = site.client.get("/openapi.json", headers={"authorization": f"Bearer {all_but['read'][0]}"}).json()
    assert made["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    predict = made["paths"]["/v1/models/{model}/predict"]["post"]
    assert (predict["security"], predict["x-scope"], "401" in predict["responses"]) == ([{"key": []}], "predict", True)
    assert "security" not in made["paths"]["/healthz"]["get"]


def test_a_key_that_asks_too_often_is_told_to_wait(site: Site) -> None:
    client = build(site.workspace, Settings(server=ServerSettings(rate_per_key=0.001)))
    ann, bob = ({"authorization": f"Bearer {site.key('read', name=name)}"} for name in ("hasty", "patient"))
    assert client.get("/v1/views", headers=ann).status_code == 200
    again = client.get("/v1/views", headers=ann)
    assert (again.status_code, again.headers["retry-after"]) == (429, "1")
    assert client.get("/v1/views", headers=bob).status_code == 200, "others do not wait for it"
    assert client.get("/healthz", headers=ann).status_code == 200
