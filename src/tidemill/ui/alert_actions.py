"""What a person does on the page about alerts: acknowledge, silence, end a silence. Plain forms, answered by the page anew.

There are no keys yet: the server is reached from this machine alone, and `Guards` refuses forms of other sites. Who acts is who they
say they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from tidemill.clock import NowMs, wall_ms
from tidemill.errors import InputError, NotFoundError, TidemillError
from tidemill.loop import SilenceAsked, silence
from tidemill.loop.silencing import said
from tidemill.project import Workspace

logger = logging.getLogger(__name__)

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 1_000
Form = Mapping[str, list[str]]


def alert_router(workspace: Workspace, changed: Callable[[], None], now_wall_ms: NowMs = wall_ms) -> APIRouter:
    """The routes `POST /ui/alerts/ack`, `/ui/alerts/silence` and `/ui/alerts/unsilence`.

    Args:
        workspace: the stores.
        changed: called once something was done, e.g. `OverviewReader(...).forget`.
        now_wall_ms: the wall clock.
    """
    router = APIRouter(prefix="/ui/alerts", include_in_schema=False)

    def acknowledge(form: Form) -> None:
        by = said(_one(form, "by"), "by")
        count = workspace.alerts.acknowledge(form.get("key", []), by, now_wall_ms())
        logger.info("alerts acknowledged count=%d", count)

    def begin(form: Form) -> None:
        asked = SilenceAsked(_one(form, "model"), _one(form, "kind"), _one(form, "for"), _one(form, "reason"), _one(form, "by"))
        logger.info("alerts silenced number=%d model=%s", silence(workspace, asked, now_wall_ms()).number, asked.model)

    def end(form: Form) -> None:
        number, by = _one(form, "number"), said(_one(form, "by"), "by")
        if not number.isdecimal():
            raise InputError(f"{number[:20]!r} is no number of a silence", where="number")
        workspace.alert_silences.end(int(number), by, now_wall_ms())
        logger.info("silence ended number=%s", number)

    for path, act in (("/ack", acknowledge), ("/silence", begin), ("/unsilence", end)):
        router.add_api_route(path, _action(act, changed), methods=["POST"])
    return router


def _action(act: Callable[[Form], None], changed: Callable[[], None]) -> Callable[..., object]:
    async def answer(request: Request) -> Response:
        try:
            form = _form(request.headers.get("content-type", ""), await request.body())
            await run_in_threadpool(act, form)
        except TidemillError as error:
            status = HTTPStatus.NOT_FOUND if isinstance(error, NotFoundError) else HTTPStatus.UNPROCESSABLE_ENTITY
            return Response(f"{error}\nNothing was changed; go back and try again.\n", status, media_type="text/plain; charset=utf-8")
        changed()
        return Response(None, HTTPStatus.SEE_OTHER, {"Location": "/#alerts"})

    return answer


def _form(content_type: str, body: bytes) -> Form:
    if content_type.partition(";")[0].strip().lower() != _FORM:
        raise InputError(f"{content_type[:80]!r} is not {_FORM}", where="header Content-Type")
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise InputError(f"not a form: {error}") from error


def _one(form: Form, name: str) -> str:
    """The value of a field that stands once; empty where it is left out."""
    values = form.get(name, [""])
    if len(values) != 1:
        raise InputError(f"{len(values)} values; send one", where=name)
    return values[0]
