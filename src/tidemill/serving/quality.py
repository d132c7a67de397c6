"""How good a model is, over HTTP: estimated before its labels, measured after."""

from __future__ import annotations

import threading
from typing import Any

from fastapi import APIRouter

from tidemill.drift import QualityMemory, report_quality
from tidemill.drift.quality_json import quality_json
from tidemill.project import Workspace

_BUDGET_S = 2.0


def quality_routes(workspace: Workspace) -> APIRouter:
    """The route `GET /v1/models/{model}/quality`; closed windows are judged once, for all who ask."""
    router = APIRouter(prefix="/v1")
    memory, alone = QualityMemory(budget_s=_BUDGET_S), threading.Lock()

    @router.get("/models/{model}/quality", summary="How good a model is: before its labels and after, by version, slice and window")
    def quality(model: str) -> dict[str, Any]:
        wanted = workspace.project.model(model)
        with alone:
            read = memory.read(workspace, wanted, workspace.now_ms())
        return quality_json(wanted.name, report_quality(read))

    return router
