"""The short way of a plain predict request: from the guards straight to the answer, past the router.

```
 request ─► Watching ─► Guards ─► Access ─► PredictLane ─► Answers ─► answer
                                                └─ whatever else it is ─► FastAPI ─► the same Answers, or another route
```
FastAPI takes several times as long to find a route, make a request and an answer of it as a model takes to score a row. So a POST to
`/v1/models/MODEL/predict` without a query is answered here. It stands behind everything that decides who may ask for what and how much,
and both ways share what they say, errors too: nobody can tell them apart but by the time it takes.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import ClientDisconnect

from tidemill.errors import TidemillError
from tidemill.project import Project
from tidemill.serving.answering import AsgiScope, Receive, Send
from tidemill.serving.answers import Answers
from tidemill.serving.refusing import refusal
from tidemill.serving.scopes import PREDICT, ROUTE

_BEFORE, _AFTER = PREDICT.removeprefix("POST ").split("{model}")


class PredictLane:
    """ASGI middleware, the innermost.

    Args:
        app: what comes behind.
        project: whose models are asked.
        answers: to what is asked.
    """

    def __init__(self, app: Any, project: Project, answers: Answers) -> None:
        self._app = app
        self._project = project
        self._answers = answers

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer a plain predict request, and let every other through."""
        if scope.get(ROUTE) != PREDICT or not _is_plain(scope):
            await self._app(scope, receive, send)
            return
        try:
            model = self._project.model(scope["path"][len(_BEFORE) : -len(_AFTER)])
            told = await self._answers.to(model, await _body(receive))
        except TidemillError as error:
            refused = refusal(error)
            status, headers, told = refused.status_code, refused.raw_headers, bytes(refused.body)
        else:
            status, headers = 200, [(b"content-length", str(len(told)).encode()), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": told})


def _is_plain(scope: AsgiScope) -> bool:
    # a route's pattern also fits a path that ends in a new line
    return not scope["query_string"] and not scope.get("root_path") and scope["path"].endswith(_AFTER)


async def _body(receive: Receive) -> bytes:
    """All of a body.

    Raises:
        ClientDisconnect: its sender has gone before its end.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        whole: bytes = message.get("body", b"")
        return whole
    parts = []
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
    raise ClientDisconnect
