"""What people and programs have done to the system, over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from tidemill.project import Project, Workspace
from tidemill.serving.describing import Examples, answered
from tidemill.serving.examples import EXAMPLE_MS, NO_NUMBER
from tidemill.stores import Act

_MOST = 500


def acts_routes(workspace: Workspace) -> APIRouter:
    """The route `GET /v1/acts`."""
    router = APIRouter(prefix="/v1")
    told = answered(_examples(workspace.project), NO_NUMBER)

    @router.get("/acts", summary="What people and programs have done to the system, newest first", **told)
    def acts(limit: int = 50) -> list[Act]:
        return workspace.acts.recent(min(max(limit, 1), _MOST))

    return router


def _examples(project: Project) -> Examples:
    return {
        model.name: (
            f"A promotion of {model.name}",
            [Act("ann", "key abcdefghij", "POST /v1/models/{model}/promote", model.name, "version 3", EXAMPLE_MS, 200)],
        )
        for model in project.models
    }
