"""MLflow and Prefect behind the login of this server: requests under `/mlflow/` and `/prefect/` are asked of them, and of nobody else.

Both know no login of ours, so they listen where nobody else comes, and whoever is let in here is let in there (ADR 20).
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from html import escape
from typing import Any

import httpx
import orjson
from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tidemill.serving.access import SAID
from tidemill.serving.console import Console, consoles, forwarded, page_headers, returned
from tidemill.serving.console_scopes import CONSOLE_ROUTES
from tidemill.serving.guards import HEADERS
from tidemill.settings import Settings

logger = logging.getLogger(__name__)

_TIMES = httpx.Timeout(60.0, connect=5.0, pool=5.0)
_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=2.0)  # theirs close an idle one after 5 s
_LONGEST_S = 600.0  # of one answer, however slowly it is read
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{name} does not answer · tidemill</title></head>
<body><main><h1>{name} does not answer</h1><p>{what}</p><p><a href="/">Back to the overview</a></p></main></body></html>"""


class Forwarder:
    """Asks consoles. Open connections are kept and shared by all callers of one process."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def ask(self, console: Console, request: Request) -> Response:
        """The answer of a console to a request, as it comes.

        Raises:
            InputError, DeniedError: see `Console.target`.
        """
        scope = request.scope
        scope[SAID] = (scope["path"], "", "")
        asked = console.target(scope["path"], scope["query_string"])
        came = (request.client.host if request.client else "", scope["scheme"], request.headers.get("host", ""))
        headers = forwarded(scope["headers"], console, came)
        has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
        sent = httpx.Request(scope["method"], asked, headers=headers, content=request.stream() if has_body else None)
        try:
            answer = await self._opened().send(sent, stream=True)
        except httpx.TransportError as error:
            return _away(console, request, error)
        location = answer.headers.get("location")
        leads_to = console.leads_to(location, asked) if location else None
        if location and leads_to is None:
            await answer.aclose()
            logger.warning("console leads elsewhere console=%s asked=%.200r", console.name, scope["path"])
            return _said(502, console, request, f"{console.name} leads to an address that is not its own; it is not followed")
        kept = returned(answer.headers.raw)
        if leads_to is not None:
            kept.append((b"location", leads_to.encode("latin-1")))
        scope[HEADERS] = page_headers(console, request.headers.get("host", ""))
        return _Passed(answer, kept)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:  # not trusting the environment, or a proxy named there would be asked instead
            self._client = httpx.AsyncClient(timeout=_TIMES, limits=_LIMITS, follow_redirects=False, trust_env=False)
        return self._client


class _Passed(StreamingResponse):
    """An answer, passed on as it comes; let go of if the caller leaves or takes too long."""

    def __init__(self, answer: httpx.Response, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__(answer.aiter_raw(), answer.status_code)  # packed as it was sent, and so its headers say
        self.raw_headers = headers
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(_LONGEST_S):
                await super().__call__(scope, receive, send)
        finally:
            await asyncio.shield(self._answer.aclose())


def console_routes(settings: Settings, forwarder: Forwarder) -> APIRouter:
    """The routes of the consoles, as `CONSOLE_ROUTES` names them."""
    router = APIRouter(include_in_schema=False)
    for console in consoles(settings):
        endpoint = _endpoint(forwarder, console)
        for name in CONSOLE_ROUTES:
            method, path = name.split(" ")
            if path.startswith(f"{console.prefix}/"):
                router.add_api_route(path, endpoint, methods=["GET", "HEAD"] if method == "GET" else [method])
    return router


def _endpoint(forwarder: Forwarder, console: Console) -> Any:
    async def ask(request: Request) -> Response:
        return await forwarder.ask(console, request)

    return ask


def _away(console: Console, request: Request, error: httpx.TransportError) -> Response:
    kind = type(error).__name__
    logger.warning("console does not answer console=%s at=%s error=%s", console.name, console.base, kind)
    said = partial(_said, console=console, request=request)
    if isinstance(error, httpx.PoolTimeout):
        return said(503, what=f"too many requests wait for {console.name}; try again in a moment")
    if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
        return said(504, what=f"{console.name} at {console.base} took longer than {_TIMES.read:g} s")
    return said(502, what=f"{console.name} at {console.base} does not answer ({kind}); is it up, and is that what {console.setting} says?")


def _said(status: int, console: Console, request: Request, what: str) -> Response:
    """An error as a program reads it, or as a person does who looks at it in a browser."""
    if "text/html" in request.headers.get("accept", ""):
        return Response(_PAGE.format(name=escape(console.name), what=escape(what)), status, media_type="text/html")
    return Response(orjson.dumps({"error": {"where": console.name, "what": what}}), status, media_type="application/json")
