"""How good a model is, over HTTP: estimated before its labels, measured after."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter
from fastapi.responses import Response

from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import QualityMemory, report_quality
from tidemill.drift.quality_json import QualityJson, quality_json
from tidemill.drift.quality_memory import QualityWindows
from tidemill.drift.quality_window import QualityWindow, VersionQuality
from tidemill.learning import Model
from tidemill.learning.label_lag import LabelLag
from tidemill.learning.measured import Measured, measure, measure_values
from tidemill.learning.slices import SliceSums
from tidemill.project import Project, Workspace
from tidemill.serving.describing import answered
from tidemill.serving.examples import EXAMPLE_MS, EXAMPLE_VERSION, example_said, no_model

_BUDGET_S = 2.0


def quality_routes(workspace: Workspace) -> APIRouter:
    """The route `GET /v1/models/{model}/quality`; closed windows are judged once, for all who ask."""
    router = APIRouter(prefix="/v1")
    memory, alone = QualityMemory(budget_s=_BUDGET_S), threading.Lock()
    summary = "How good a model is: before its labels and after, by version, slice and window"

    @router.get("/models/{model}/quality", summary=summary, **_answered(workspace.project))
    def quality(model: str) -> Response:
        wanted = workspace.project.model(model)
        with alone:
            read = memory.read(workspace, wanted, workspace.now_ms())
        return Response(orjson.dumps(quality_json(wanted.name, report_quality(read))), media_type="application/json")

    return router


def _answered(project: Project) -> dict[str, Any]:
    told = {model.name: (f"Of {model.name}, after a day of twelve questions", _example(model)) for model in project.models}
    return answered(told, no_model(project), shape=QualityJson)


def _example(model: Model) -> dict[str, Any]:
    outcome, said = example_said(model)
    measured = (measure_values if model.objective.kind == "value" else measure)(outcome, said)
    loss = float(model.objective.losses(outcome, said).sum())
    window = QualityWindow(
        start_ms=EXAMPLE_MS - DAY_MS,
        closed=True,
        n_asked=len(outcome),
        n_corrected=0,
        expected_share=None,
        lag=LabelLag.of(np.full(len(outcome), HOUR_MS), len(outcome)),
        live=measured,
        frozen=Measured(),
        estimated=measured,
        versions=(VersionQuality(EXAMPLE_VERSION, measured, measured),),
        slices=tuple(SliceSums(column, "a", len(outcome), 8.0, loss, loss) for column in model.slices),
    )
    return quality_json(model.name, report_quality(QualityWindows(DAY_MS, EXAMPLE_MS, (window,))))
