"""What goes on to a console and what comes back, as plain values."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import DeniedError, InputError
from tidemill.serving.console import consoles, forwarded, page_headers, returned
from tidemill.serving.console_scopes import CONSOLE_ROUTES
from tidemill.serving.scopes import route_of
from tidemill.settings import MlflowSettings, PrefectSettings, Settings

MLFLOW, PREFECT = consoles(Settings())
ASKED = "http://127.0.0.1:4200/api/flows"


@pytest.mark.parametrize(
    "path",
    [
        "/mlflow/../healthz",
        "/mlflow/a/../../b",
        "/mlflow/./a",
        "/mlflow/a/..",
        "/mlflow//elsewhere.test/a",
        "/mlflow/http://elsewhere.test/",
        "/mlflow/a\\..\\b",
        "/mlflow/%2e%2e/a",  # decoded once already, so this was sent as %252e
        "/mlflow/a%2Fb",
        "/mlflow/a\r\nHost: elsewhere.test",
        "/mlflow/\x00",
    ],
)
def test_a_path_that_leads_out_of_itself_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="write it plainly"):
        MLFLOW.target(path)


@given(rest=st.text(), query=st.binary())
def test_whatever_is_asked_for_is_asked_of_the_console_and_means_what_was_allowed(rest: str, query: bytes) -> None:
    try:
        target = PREFECT.target(f"/prefect/{rest}", query.replace(b"#", b""))
    except InputError:
        return
    at = urlsplit(target)
    assert (at.scheme, at.netloc, at.fragment) == ("http", "127.0.0.1:4200", "")
    is_api = f"{rest}/".startswith("api/")
    assert unquote(at.path, errors="surrogatepass") == (f"/{rest}" if is_api else f"/prefect/{rest}")


@pytest.mark.parametrize("kind", ["api", "ajax-api"])
def test_what_trusts_its_own_machine_is_closed(kind: str) -> None:
    for rest in ("message", "config", "skills/install"):
        with pytest.raises(DeniedError, match="at its own machine"):
            MLFLOW.target(f"/mlflow/{kind}/3.0/mlflow/assistant/{rest}")


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/prefect/v2/?a=1", "/prefect/v2/?a=1"),
        ("http://127.0.0.1:4200/api/flows/", "/prefect/api/flows/"),
        ("https://127.0.0.1:4200/api/flows/", "/prefect/api/flows/"),
        ("filter?limit=3", "/prefect/api/filter?limit=3"),
        ("https://elsewhere.test/", None),
        ("//elsewhere.test/", None),
        ("http://127.0.0.1:5000/", None),
        ("http://u@127.0.0.1:4200/api/", None),
        ("/admin", None),
        ("/apis", None),
        ("/api/../admin", None),
        ("javascript:alert(1)", None),
        ("http://[", None),
    ],
)
def test_an_answer_leads_nowhere_else(location: str, leads_to: str | None) -> None:
    assert PREFECT.leads_to(location, ASKED) == leads_to


def test_neither_key_nor_session_nor_foreign_cookie_goes_on() -> None:
    sent = [
        (b"host", b"ml.example.com"),
        (b"authorization", b"Bearer tm_secret"),
        (b"cookie", b"tidemill_session=secret; prefect_ui_version=v1; other=secret"),
        (b"cookie", b"tidemill_visitor=secret"),
        (b"connection", b"keep-alive, X-Own"),
        (b"x-own", b"1"),
        (b"x-forwarded-for", b"9.9.9.9"),
        (b"forwarded", b"for=9.9.9.9"),
        (b"origin", b"https://ml.example.com"),
        (b"content-type", b"application/json"),
        (b"transfer-encoding", b"chunked"),
    ]
    told = [
        (b"x-forwarded-for", b"10.0.0.7"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"ml.example.com"),
    ]
    came = ("10.0.0.7", "https", "ml.example.com")
    assert forwarded(sent, PREFECT, came) == [(b"content-type", b"application/json"), (b"cookie", b"prefect_ui_version=v1"), *told]
    assert forwarded(sent, MLFLOW, came) == [(b"content-type", b"application/json"), *told]
    assert forwarded([(b"cookie", b"\xff=;;=\x00")], PREFECT, ("", "http", "")) == [(b"x-forwarded-proto", b"http")]


def test_policies_and_cookies_of_a_console_do_not_come_back() -> None:
    told = [
        (b"Set-Cookie", b"tidemill_session=theirs; Path=/"),
        (b"Content-Security-Policy", b"default-src *"),
        (b"Access-Control-Allow-Origin", b"*"),
        (b"Service-Worker-Allowed", b"/"),
        (b"Location", b"https://elsewhere.test/"),
        (b"Content-Encoding", b"gzip"),
    ]
    assert returned(told) == [(b"content-encoding", b"gzip"), (b"cache-control", b"private, no-cache")]
    assert returned([(b"cache-control", b"max-age=60")]) == [(b"cache-control", b"max-age=60")]


def test_a_page_may_ask_its_own_console_alone() -> None:
    policy = dict(page_headers(MLFLOW, "ml.example.com:8443"))[b"content-security-policy"].decode()
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["connect-src"] == "ml.example.com:8443/mlflow/ data: blob:"
    assert (rules["form-action"], rules["default-src"]) == ("ml.example.com:8443/mlflow/", "'none'")
    odd = dict(page_headers(MLFLOW, "localhost:80; script-src *"))[b"content-security-policy"]
    assert b"script-src *" not in odd


def test_what_has_a_login_of_its_own_is_not_reached_through_here() -> None:
    assert consoles(Settings(mlflow=MlflowSettings(page="https://ml.example.com"))) == (PREFECT,)
    assert consoles(Settings(prefect=PrefectSettings(page="https://runs.example.com"))) == (MLFLOW,)


@pytest.mark.parametrize(
    ("asked", "scope"),
    [
        ("GET /mlflow/", "read"),
        ("HEAD /mlflow/static-files/a.js", "read"),
        ("POST /mlflow/ajax-api/2.0/mlflow/runs/search", "read"),
        ("POST /mlflow/ajax-api/2.0/mlflow/runs/search/", "operate"),
        ("POST /mlflow/ajax-api/2.0/mlflow/runs/searching", "operate"),
        ("POST /mlflow/ajax-api/2.0/mlflow/runs/delete", "operate"),
        ("POST /mlflow/ajax-api/2.0/mlflow/runs/search/../delete", "operate"),
        ("PUT /mlflow/ajax-api/2.0/mlflow/runs/search", "operate"),
        ("GET /mlflow/ajax-api/2.0/mlflow/gateway-proxy", "operate"),
        ("GET /prefect/v2/dashboard", "read"),
        ("POST /prefect/api/flow_runs/filter", "read"),
        ("POST /prefect/api/flow_runs/3/set_state", "operate"),
        ("POST /prefect/api/work_pools/a/queues/filter", "read"),
        ("POST /prefect/api/work_pools/a/get_scheduled_flow_runs", "operate"),
        ("GET /prefect/api/block_documents/3", "operate"),
        ("POST /prefect/api/block_documents/filter", "operate"),
        ("GET /prefect/api/block_types/slug/secret/block_documents", "operate"),
        ("GET /prefect/api/block_types/slug/secret/block_documents/name/key", "operate"),
        ("DELETE /prefect/api/flows/3", "operate"),
    ],
)
def test_reading_asks_for_read_and_all_else_for_operate(asked: str, scope: str) -> None:
    route = route_of(*asked.split(" "))
    assert route is not None and CONSOLE_ROUTES[route] == scope


@pytest.mark.parametrize(
    "asked", ["OPTIONS /mlflow/", "TRACE /prefect/api/flows/filter", "CONNECT /mlflow/", "GET /mlflow", "GET /MLFLOW/"]
)
def test_what_is_not_named_is_no_route(asked: str) -> None:
    assert route_of(*asked.split(" ")) is None
