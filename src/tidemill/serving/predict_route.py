"""`POST /v1/models/{model}/predict`: parse, score, log, answer."""

from __future__ import annotations

import asyncio
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from tidemill.errors import InputError
from tidemill.project import Project
from tidemill.serving.answer_log import AnswerLog
from tidemill.serving.examples import predict_examples
from tidemill.serving.features import LATEST_MS
from tidemill.serving.metrics import ServerMetrics
from tidemill.serving.predictor import Predictor
from tidemill.settings import ServerSettings
from tidemill.stages import stage

_INLINE_ROWS = 64  # a small batch takes less time than a hop to a thread
_DESCRIPTION = """
One request object is answered by one object, an array by an array in its order. Every answer is in the log before it is told.

`missing` is there where the model read a column without a value: by column, how many milliseconds before the question the newest
event of its view or table happened, null where no event ever fed it. An age like that of other keys says that this key is unknown,
a large one that the stream is silent. With `explain=true` an answer says by how much each column moved it, against a typical row of
what the version has learnt from: `typical + sum(contributions) + unexplained = said`, on the scale it names.

While the store is down nothing is answered, as nothing could be logged: 503 with `Retry-After`. While MLflow is down the versions go
on that were loaded.
"""

Explain = Annotated[bool, Query(description="Say by how much each column moved the answer; a row costs two vectors a column.")]
At = Annotated[int | None, Query(ge=0, le=LATEST_MS, description="When it is asked, ms since the epoch; for a replay alone.")]


def predict_routes(project: Project, predictor: Predictor, answers: AnswerLog, metrics: ServerMetrics, server: ServerSettings) -> APIRouter:
    """The route that predicts."""
    router = APIRouter(prefix="/v1")
    summary = "Predict: one request object, or an array of them"

    @router.post("/models/{model}/predict", summary=summary, description=_DESCRIPTION, **predict_examples(project))
    async def predict(model: str, request: Request, at: At = None, explain: Explain = False) -> Response:
        wanted = project.model(model)
        if at is not None and not server.replay:
            raise InputError("only a replay may set it; leave it out", where="at")
        body = await request.body()
        with metrics.predicting(model):
            with stage("predict.parse"):
                requests = predictor.parse(wanted, body, server.max_rows)
            if explain and len(requests) > server.max_explained:
                raise InputError(
                    f"{len(requests)} requests to explain; send at most {server.max_explained}, or leave it out", where="explain"
                )
            if len(requests) <= _INLINE_ROWS and not explain and not predictor.waits(wanted):
                scored = predictor.score(wanted, requests, at)
            else:
                scored = await run_in_threadpool(predictor.score, wanted, requests, at, explained=explain)
            with stage("predict.log"):
                ids = await asyncio.wrap_future(answers.submit(scored.answered))
            told = scored.told(ids)
        metrics.predicted(model, len(told))
        single = body.lstrip()[:1] != b"["
        shown = [answer.fields() for answer in told]
        return Response(orjson.dumps(shown[0] if single else shown), media_type="application/json")

    return router
