"""The outermost of what a request passes: it is counted and timed by its route, whatever is answered, and is the root of a trace."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import ClientDisconnect

from tidemill.serving.answering import AsgiScope, Receive, Send
from tidemill.serving.metrics import ServerMetrics
from tidemill.serving.scopes import ROUTE, STREAMING, route_of
from tidemill.stages import is_traced, stage

_GONE = 499  # nobody is there to hear it
_TRACE_PARENT = b"traceparent"
_NO_ROUTE = "other"  # whatever names no route is one, or else anybody could make a series of each path


class Watching:
    """ASGI middleware.

    Args:
        app: what comes behind.
        metrics: where requests are counted.
    """

    def __init__(self, app: Any, metrics: ServerMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Let a request through, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[ROUTE] = found = route_of(scope["method"], scope["path"])
        route = found or _NO_ROUTE
        if route in STREAMING:
            await self._streamed(route, scope, receive, send)
            return
        status = 500  # what an error that nobody caught is answered with

        async def noted(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._metrics.answering(), stage("http", route=route, **_caller(scope)):
            try:
                await self._app(scope, receive, noted)
            except ClientDisconnect:
                status = _GONE
            finally:
                self._metrics.answered(route, status)

    async def _streamed(self, route: str, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Count it once it begins; it is neither going nor a trace for the hours that it lasts."""
        begin_s = time.perf_counter()

        async def noted(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._metrics.began(route, message["status"], time.perf_counter() - begin_s)
            await send(message)

        await self._app(scope, receive, noted)


def _caller(scope: AsgiScope) -> dict[str, str]:
    """Whose trace a request is part of, where its caller says so and anybody wants to know."""
    if not is_traced():
        return {}
    told = next((value for name, value in scope["headers"] if name == _TRACE_PARENT), None)
    return {} if told is None else {"within": told.decode("latin-1")}
