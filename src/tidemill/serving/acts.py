"""What people and programs have done to the system, over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from tidemill.project import Workspace

_MOST = 500


def acts_routes(workspace: Workspace) -> APIRouter:
    """The route `GET /v1/acts`."""
    router = APIRouter(prefix="/v1")

    @router.get("/acts", summary="What people and programs have done to the system, newest first")
    def acts(limit: int = 50) -> list[dict[str, Any]]:
        return [asdict(act) for act in workspace.acts.recent(min(max(limit, 1), _MOST))]

    return router
