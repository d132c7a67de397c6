"""Answering a body of requests: parse, score, log, say. What the lane and the route of FastAPI share."""

from __future__ import annotations

from functools import partial

import orjson

from tidemill.errors import InputError
from tidemill.learning import Model
from tidemill.serving.answer_log import AnswerLog
from tidemill.serving.metrics import ServerMetrics
from tidemill.serving.predictor import Predictor
from tidemill.serving.turns import MOST_ROWS, Turns
from tidemill.serving.waiting import in_thread, soon
from tidemill.settings import ServerSettings
from tidemill.stages import stage


class Answers:
    """Answers the requests of one process.

    Args:
        predictor: parses and scores.
        log: where each answer is before it is told.
        metrics: where they are counted and timed.
        server: what is bounded.
    """

    def __init__(self, predictor: Predictor, log: AnswerLog, metrics: ServerMetrics, server: ServerSettings) -> None:
        self._predictor = predictor
        self._log = log
        self._turns = Turns(predictor, log)
        self._metrics = metrics
        self._server = server

    async def to(self, model: Model, body: bytes, at: int | None = None, *, explain: bool = False) -> bytes:
        """The JSON that a body is answered with: an object for one request, an array for an array of them.

        Raises:
            InputError: the body cannot be understood, or holds too much.
            NotReadyError: the model has no champion yet.
            BusyError: too many answers wait to be logged.
            UnavailableError: the store does not answer.
        """
        with self._metrics.predicting(model.name):
            with stage("predict.parse"):
                requests = self._predictor.parse(model, body, self._server.max_rows)
            if explain and len(requests) > self._server.max_explained:
                what = f"{len(requests)} requests to explain; send at most {self._server.max_explained}, or leave it out"
                raise InputError(what, where="explain")
            waits = self._predictor.waits(model)
            if len(requests) <= MOST_ROWS and not explain and not waits:
                told = await self._turns.answers(model, requests, at)
            else:
                scored = await in_thread(partial(self._predictor.score, model, [requests], at, explained=explain), bounded=not waits)
                with stage("predict.log"):
                    ids = await soon(self._log.submit(scored.answered))
                if refused := scored.refused(0, len(ids)):
                    raise refused
                told = scored.told(ids)
            with stage("predict.tell", reads=told[0].position):
                fields = [one.fields() for one in told]
                said = orjson.dumps(fields if body.lstrip()[:1] == b"[" else fields[0])
        self._metrics.predicted(model.name, len(told))
        return said
