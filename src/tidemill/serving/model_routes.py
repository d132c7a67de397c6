"""Models over HTTP: their versions, what their monitors hold, and what the loop decided about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter
from fastapi.responses import Response

from tidemill.events import FieldKind
from tidemill.learning import Model, Task
from tidemill.project import Project, Workspace
from tidemill.serving.champions import Champions
from tidemill.serving.describing import answered
from tidemill.serving.drift_states import DriftStates, example_states
from tidemill.serving.examples import EXAMPLE_VERSION, NO_NUMBER, example_decision, no_champion, no_model
from tidemill.stores import Decision, Role

_MOST = 500


@dataclass(frozen=True)
class ServedModel:
    """A model as this server serves it.

    Args:
        model: its name.
        registered_name: in MLflow.
        versions: by role.
        task: what it predicts.
        columns: what it reads.
        predictions: how many it has made.
    """

    model: str
    registered_name: str
    versions: Mapping[Role, int]
    task: Task
    columns: Mapping[str, FieldKind]
    predictions: int


def model_routes(workspace: Workspace, champions: Champions) -> APIRouter:
    """The routes that tell of models."""
    router, project = APIRouter(prefix="/v1"), workspace.project

    @router.get("/models/{model}", summary="A model's versions and what it reads", **_model_examples(project))
    def model(model: str) -> ServedModel:
        wanted = project.model(model)
        versions = {role: held.version for role, held in champions.serving(wanted.name).roles.items()}
        return _served(project, wanted, versions, workspace.predictions.count(wanted.name))

    @router.get("/models/{model}/drift", summary="What the monitors of a model hold", **_drift_examples(project))
    def drift(model: str) -> Response:
        wanted = project.model(model).name
        found = {kind: workspace.monitors.load(f"{kind}:{wanted}")[1] for kind in ("outcomes", "windows", "check")}
        return Response(orjson.dumps(found), media_type="application/json")

    @router.get("/decisions", summary="What the loop decided, newest first", **_decision_examples(project))
    def decisions(model: str | None = None, limit: int = 50) -> list[Decision]:
        of = None if model is None else project.model(model).name
        return workspace.decisions.recent(of, min(max(limit, 1), _MOST))

    return router


def _served(project: Project, model: Model, versions: Mapping[Role, int], predictions: int) -> ServedModel:
    return ServedModel(model.name, project.registered_name(model.name), versions, model.objective.task, model.columns, predictions)


def _model_examples(project: Project) -> dict[str, Any]:
    versions: dict[Role, int] = {"champion": EXAMPLE_VERSION, "frozen": 1}
    told = {model.name: (f"The model {model.name}", _served(project, model, versions, 1042)) for model in project.models}
    return answered(told, no_model(project), no_champion(project))


def _drift_examples(project: Project) -> dict[str, Any]:
    told = {model.name: (f"Of {model.name}, before the first weekly check", example_states(model)) for model in project.models}
    return answered(told, no_model(project), shape=DriftStates)


def _decision_examples(project: Project) -> dict[str, Any]:
    told = {model.name: (f"A rollback of {model.name}", [example_decision(model)]) for model in project.models}
    return answered(told, no_model(project), NO_NUMBER)
