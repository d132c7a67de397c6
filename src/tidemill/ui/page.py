"""The page over HTTP: the whole of it, its parts and which of them have changed, the series of the charts, the heat maps, and its files."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request, Response

from tidemill.ui.caller import caller_of
from tidemill.ui.changes import Changes
from tidemill.ui.events import open_stream
from tidemill.ui.files import Files, read_files
from tidemill.ui.form_token import VISITOR_COOKIE, form_token, new_visitor, set_cookie
from tidemill.ui.overview import ModelPanel, Overview
from tidemill.ui.parts import PARTS, Shown
from tidemill.ui.quality_series import quality_series
from tidemill.ui.rendering import Renderer

logger = logging.getLogger(__name__)

HTML = "text/html; charset=utf-8"
_YEAR_S = 31_536_000
# Everything the page needs is its own: no other host, no inline script or sheet of styles, no frame around it.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; style-src 'self'; style-src-attr 'unsafe-inline'; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none a browser would not say where its forms come from, and they would be refused
}


def page_router(overview: Callable[[], Overview], changes: Changes | None = None, shown: Shown | None = None) -> APIRouter:
    """The routes `/`, `/ui/overview`, `/ui/parts/{part}`, `/ui/events`, `/ui/series/{model}.json`, `/ui/heat/{model}`, `/docs`
    and `/static/...`.

    Args:
        overview: reads what is shown, called once a request in a worker thread, e.g. `OverviewReader(...).read`.
        changes: tells browsers what has changed, see `watch_page`; without it they ask every half minute.
        shown: what is made of a look, where `changes` has made it already.
    """
    router, files = APIRouter(include_in_schema=False), read_files()
    renderer = Renderer(files)
    shown = shown or Shown(renderer)

    def whole_page(request: Request) -> Response:
        visitor = new_visitor(request)
        seen_by = _seen_by(request, visitor)
        answer = _answer(request, overview, lambda seen: renderer.page(**shown.of(seen), **seen_by), renderer.failure_page)
        if visitor:
            set_cookie(request, answer, VISITOR_COOKIE, visitor)
        return answer

    def fragment(request: Request) -> Response:
        seen_by = _seen_by(request)
        return _answer(request, overview, lambda seen: renderer.fragment(**shown.of(seen), **seen_by), renderer.failure)

    def one_part(request: Request, part: str) -> Response:
        if part not in PARTS:
            return Response(json.dumps({"detail": f"no part {part!r}"}), 404, HEADERS, "application/json")
        seen_by = _seen_by(request)
        return _answer(request, overview, lambda seen: renderer.part(part, **shown.of(seen), **seen_by), renderer.failure)

    async def events(request: Request) -> Response:
        return open_stream(request, changes)

    router.add_api_route("/", whole_page, methods=["GET", "HEAD"])
    router.add_api_route("/ui/overview", fragment, methods=["GET"])
    router.add_api_route("/ui/parts/{part}", one_part, methods=["GET"])
    router.add_api_route("/ui/events", events, methods=["GET"])
    router.include_router(_drawn_router(overview, renderer))
    router.include_router(_files_router(files, renderer))
    return router


def _files_router(files: Files, renderer: Renderer) -> APIRouter:
    """What is the same for every project: the files, and the page of what can be asked over HTTP."""
    router = APIRouter(include_in_schema=False)

    def docs(request: Request) -> Response:
        return _tagged(request, renderer.docs().encode(), HTML)

    def static(request: Request, path: str) -> Response:
        return _static(request, files, path)

    router.add_api_route("/docs", docs, methods=["GET"])
    router.add_api_route("/static/{path:path}", static, methods=["GET", "HEAD"])
    return router


def _drawn_router(overview: Callable[[], Overview], renderer: Renderer) -> APIRouter:
    """What is drawn: large, and asked for only when its revision has changed."""
    router = APIRouter(include_in_schema=False)

    def series(request: Request, model: str) -> Response:
        panel = _panel(overview(), model)
        if panel is None:
            return _no_such(model)
        return _tagged(request, json.dumps(quality_series(panel)).encode(), "application/json")

    def heat(request: Request, model: str) -> Response:
        panel = _panel(overview(), model)
        return _no_such(model) if panel is None else _tagged(request, renderer.heat(model=panel).encode(), HTML)

    router.add_api_route("/ui/series/{model}.json", series, methods=["GET"])
    router.add_api_route("/ui/heat/{model}", heat, methods=["GET"])
    return router


def _panel(seen: Overview, model: str) -> ModelPanel | None:
    return next((panel for panel in seen.models if panel.name == model), None)


def _no_such(model: str) -> Response:
    return Response(json.dumps({"detail": f"no model {model!r}"}), 404, HEADERS, "application/json")


def _seen_by(request: Request, visitor: str = "") -> dict[str, Any]:
    caller = caller_of(request)
    return {"user": caller.name, "may_operate": "operate" in caller.scopes, "token": form_token(request, visitor)}


def _answer(
    request: Request, overview: Callable[[], Overview], render: Callable[[Overview], str], failure: Callable[[str], str]
) -> Response:
    """A rendered look, or a page that says what went wrong: a person must not be left with a blank one."""
    try:
        seen = overview()
    except Exception as error:  # whatever a store raises, the page says it and the log keeps it whole
        logger.exception("overview not read error=%s", type(error).__name__)
        text = failure(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}")
        return Response(text, 503, {**HEADERS, "Retry-After": "2", "Cache-Control": "no-store"}, HTML)
    return _tagged(request, render(seen).encode(), HTML)


def _tagged(request: Request, body: bytes, media_type: str, cache: str = "no-cache") -> Response:
    """The body, or 304 if the browser has it already."""
    tag = f'"{sha256(body).hexdigest()[:20]}"'
    headers = {**HEADERS, "ETag": tag, "Cache-Control": cache}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known:
        return Response(None, 304, headers)
    return Response(body, 200, headers, media_type)


def _static(request: Request, files: Files, path: str) -> Response:
    file = files.get(path)
    if file is None:
        return Response("no such file", 404, HEADERS, "text/plain; charset=utf-8")
    # Only the address that names these very bytes may be kept for good: after an upgrade it is another one.
    pinned = request.query_params.get("v") == file.version
    return _tagged(request, file.body, file.media_type, f"public, max-age={_YEAR_S}, immutable" if pinned else "no-cache")
