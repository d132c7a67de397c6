"""What a caller must be allowed for each route: the one list of who may do what. A server with a route that is not here does not start."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

from tidemill.serving.console_scopes import CONSOLE_ROUTES
from tidemill.serving.describing import everywhere, share_refusal, show_whole
from tidemill.stores import Scope

PREDICT = "POST /v1/models/{model}/predict"
ROUTES: dict[str, Scope | None] = {  # None is for everybody: it tells nothing of the project
    "POST /v1/streams/{stream}/events": "ingest",
    PREDICT: "predict",
    "GET /v1/acts": "read",
    "GET /v1/decisions": "read",
    "GET /v1/features/{view}/{key}": "read",
    "POST /v1/features/{view}": "read",
    "GET /v1/models/{model}": "read",
    "GET /v1/models/{model}/drift": "read",
    "GET /v1/models/{model}/quality": "read",
    "GET /v1/models/{model}/release": "read",
    "POST /v1/models/{model}/release": "operate",
    "DELETE /v1/models/{model}/release": "operate",
    "POST /v1/models/{model}/promote": "operate",
    "POST /v1/models/{model}/rollback": "operate",
    "GET /v1/views": "read",
    "GET /v1/views/{view}": "read",
    "GET /healthz": None,
    "GET /readyz": None,
    "GET /metrics": "read",
    "GET /docs": "read",
    "GET /openapi.json": "read",
    "GET /": "read",
    "GET /static/{path:path}": None,
    "GET /ui/login": None,
    "POST /ui/login": None,
    "POST /ui/logout": None,
    "GET /ui/overview": "read",
    "GET /ui/parts/{part}": "read",
    "GET /ui/events": "read",
    "GET /ui/series/{model}.json": "read",
    "GET /ui/heat/{model}": "read",
    "POST /ui/alerts/ack": "operate",
    "POST /ui/alerts/silence": "operate",
    "POST /ui/alerts/unsilence": "operate",
    "POST /ui/models/{model}/retrain": "operate",
    "POST /ui/models/{model}/shadow": "operate",
    "POST /ui/models/{model}/canary": "operate",
    "POST /ui/models/{model}/end-trials": "operate",
    "POST /ui/models/{model}/promote": "operate",
    "POST /ui/models/{model}/rollback": "operate",
    "POST /ui/models/{model}/freeze": "operate",
    "POST /ui/models/{model}/unfreeze": "operate",
    **CONSOLE_ROUTES,
}
STREAMING = frozenset({"GET /ui/events"})  # answered for as long as the caller likes, so that this is no time to answer
ROUTE = "tidemill.route"  # where a request's scope says which of them it is
_HELD_PATHS = 128  # few, as whoever asks says how long they are
_PATTERNS = [(name, name.split(" ")[0], compile_path(name.split(" ")[1])[0]) for name in ROUTES]


@lru_cache(maxsize=_HELD_PATHS)
def route_of(method: str, path: str) -> str | None:
    """The route that a request goes to, as `ROUTES` names it; None if it names none.

    >>> route_of("POST", "/v1/models/refund/predict"), route_of("HEAD", "/"), route_of("PUT", "/")
    ('POST /v1/models/{model}/predict', 'GET /', None)
    """
    asked = "GET" if method == "HEAD" else method
    return next((name for name, verb, pattern in _PATTERNS if verb == asked and pattern.match(path)), None)


def check_routes(app: FastAPI) -> None:
    """Refuse an application with a route of which nobody has said who may call it.

    Raises:
        LookupError: names the route.
    """
    for route in iter_route_contexts(app.routes):
        for method in sorted(set(route.methods or ("ANY",)) - {"HEAD"}):
            if f"{method} {route.path}" not in ROUTES:
                raise LookupError(f"the route '{method} {route.path}' has no scope; say in {__name__}.ROUTES who may call it")


def describe_scopes(app: FastAPI, schemas: Mapping[str, Any]) -> None:
    """Say in the OpenAPI document which scope each route asks for, how a key is shown, and how a request is refused.

    Args:
        app: whose document it is.
        schemas: that its routes name beside FastAPI's, by name.
    """
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        made = plain()
        parts = made.setdefault("components", {})
        if "securitySchemes" not in parts:  # FastAPI makes the document once, and answers the same one after
            parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "An API key: `tidemill keys create`"}}
            shown = {(route.path, method.lower()): route for route in iter_route_contexts(app.routes) for method in route.methods or ()}
            for path, methods in made["paths"].items():
                for method, said in methods.items():
                    scope = ROUTES[f"{method.upper()} {path}"]
                    show_whole(said, shown[path, method].responses)
                    everywhere(said, scope)
                    said |= {} if scope is None else {"security": [{"key": []}], "x-scope": scope}
            share_refusal(parts["schemas"])
            parts["schemas"] |= schemas
        return made

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
