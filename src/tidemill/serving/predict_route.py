"""`POST /v1/models/{model}/predict` as FastAPI knows it: documented, and with what the lane leaves to it: `at`, `explain`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from tidemill.errors import InputError
from tidemill.project import Project
from tidemill.serving.answers import Answers
from tidemill.serving.examples import predict_examples
from tidemill.serving.features import LATEST_MS
from tidemill.settings import ServerSettings

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


def predict_routes(project: Project, answers: Answers, server: ServerSettings) -> APIRouter:
    """The route that predicts."""
    router = APIRouter(prefix="/v1")
    summary = "Predict: one request object, or an array of them"

    @router.post("/models/{model}/predict", summary=summary, description=_DESCRIPTION, **predict_examples(project, server.max_rows))
    async def predict(model: str, request: Request, at: At = None, explain: Explain = False) -> Response:
        wanted = project.model(model)
        if at is not None and not server.replay:
            raise InputError("only a replay may set it; leave it out", where="at")
        told = await answers.to(wanted, await request.body(), at, explain=explain)
        return Response(told, media_type="application/json")

    return router
