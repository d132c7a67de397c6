"""How the server is: up, ready, and in figures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NotRequired

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from typing_extensions import TypedDict

from tidemill.errors import TidemillError
from tidemill.project import Project, Workspace
from tidemill.serving.access import CALLER
from tidemill.serving.champions import Champions
from tidemill.serving.describing import Refusal, answered
from tidemill.serving.examples import no_champion
from tidemill.serving.metrics import ServerMetrics

logger = logging.getLogger(__name__)


class Alive(TypedDict):
    """The process is up."""

    status: Literal["ok"]


class Ready(TypedDict):
    """Whether all that is asked of the server would be answered; `checks` says of each part "ok" or why not, to who may `read`."""

    ready: bool
    checks: NotRequired[dict[str, str]]


def health_routes(workspace: Workspace, champions: Champions, metrics: ServerMetrics) -> APIRouter:
    """The routes that say how the server is."""
    router = APIRouter()

    @router.get("/healthz", summary="The process is up", **answered({"up": ("", {"status": "ok"})}))
    async def healthz() -> Alive:
        return {"status": "ok"}

    summary = "The stores can be read and written, and every model has a champion that answers"

    @router.get("/readyz", summary=summary, **_ready_examples(workspace.project))
    def readyz(request: Request) -> JSONResponse:
        checks = {"stores": _said(workspace.books)}
        for model in workspace.project.models:
            checks[f"model {model.name}"] = _said(partial(champions.check, model.name))
        ready = all(said == "ok" for said in checks.values())
        told = {"ready": ready, "checks": checks} if "read" in request.scope[CALLER].scopes else {"ready": ready}
        return JSONResponse(told, status_code=200 if ready else 503)

    @router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    def figures() -> Response:
        return Response(metrics.render(), media_type="text/plain; version=0.0.4")

    return router


def _ready_examples(project: Project) -> dict[str, Any]:
    names = ["stores", *(f"model {model.name}" for model in project.models)]
    told: Ready = {"ready": True, "checks": dict.fromkeys(names, "ok")}
    not_yet: Ready = {"ready": False, "checks": {**told["checks"], names[-1]: str(no_champion(project)[1])}}
    said = answered({"ready": ("To who may read", told), "to anybody": ("", {"ready": True})}, shape=Ready)
    shown = {"content": {"application/json": {"examples": {"not yet": {"value": not_yet}}}}}
    said["responses"][503] = {"description": "Not ready, or what it needs does not answer", "model": Ready | Refusal, **shown}
    return said


def _said(check: Callable[[], object]) -> str:
    try:
        check()
    except TidemillError as error:
        return str(error)
    except Exception as error:  # a full disk, a file that is gone: whatever it is, this server is not ready, and says so
        logger.exception("not ready error=%s", type(error).__name__)
        return type(error).__name__
    return "ok"
