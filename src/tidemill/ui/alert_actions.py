"""What a person does on the page about alerts: acknowledge, silence, end a silence. Plain forms, answered by the page anew.

Who acts is the key that the browser has signed in with; on a server that is open to this machine, who they say they are.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from tidemill.clock import NowMs, wall_ms
from tidemill.errors import InputError, TidemillError
from tidemill.loop import SilenceAsked, silence
from tidemill.loop.silencing import said
from tidemill.project import Workspace
from tidemill.ui.caller import caller_of, say
from tidemill.ui.forms import Form, go_to, one, read_form, refused

logger = logging.getLogger(__name__)

_NUMBER = re.compile(r"[0-9]{1,15}")
_MOST_TOLD = 1_000  # letters of what the audit keeps of a form
Act = Callable[[Form, str], tuple[str, str]]  # of a form and who sent it; answers what it was about, and the rest


def alert_router(workspace: Workspace, changed: Callable[[], None], now_wall_ms: NowMs = wall_ms) -> APIRouter:
    """The routes `POST /ui/alerts/ack`, `/ui/alerts/silence` and `/ui/alerts/unsilence`.

    Args:
        workspace: the stores.
        changed: called once something was done, e.g. `OverviewReader(...).forget`.
        now_wall_ms: the wall clock.
    """
    router = APIRouter(prefix="/ui/alerts", include_in_schema=False)

    def acknowledge(form: Form, by: str) -> tuple[str, str]:
        keys = form.get("key", [])
        count = workspace.alerts.acknowledge(keys, by, now_wall_ms())
        logger.info("alerts acknowledged count=%d", count)
        return " ".join(keys), f"{count} acknowledged"

    def begin(form: Form, by: str) -> tuple[str, str]:
        asked = SilenceAsked(one(form, "model"), one(form, "kind"), one(form, "for"), one(form, "reason"), by)
        number = silence(workspace, asked, now_wall_ms()).number
        logger.info("alerts silenced number=%d model=%s", number, asked.model)
        return asked.model, f"silence {number} of {asked.kind or 'everything'} for {one(form, 'for')}: {asked.reason}"

    def end(form: Form, by: str) -> tuple[str, str]:
        number = one(form, "number")
        if not _NUMBER.fullmatch(number):
            raise InputError(f"{number[:20]!r} is no number of a silence", where="number")
        workspace.alert_silences.end(int(number), by, now_wall_ms())
        logger.info("silence ended number=%s", number)
        return f"silence {number}", ""

    for path, act in (("/ack", acknowledge), ("/silence", begin), ("/unsilence", end)):
        router.add_api_route(path, _action(act, changed), methods=["POST"])
    return router


def _action(act: Act, changed: Callable[[], None]) -> Callable[..., object]:
    async def answer(request: Request) -> Response:
        try:
            form = await read_form(request)
            by = caller_of(request).name or said(one(form, "by"), "by")
            about, detail = await run_in_threadpool(act, form, by)
        except TidemillError as error:
            return refused(error)
        say(request, about[:_MOST_TOLD], detail[:_MOST_TOLD], by)
        changed()
        return go_to("/#alerts")

    return answer
