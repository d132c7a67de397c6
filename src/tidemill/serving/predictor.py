"""Answering: read features, score with ONNX Runtime, log vector, versions and position, then answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from tidemill.clock import NowMs, wall_ms
from tidemill.errors import ConflictError, InputError
from tidemill.events import Column
from tidemill.learning import Model, to_feed
from tidemill.project import Workspace
from tidemill.serving.champions import Champions
from tidemill.stages import stage
from tidemill.stores import Answer, Answered, Lookup
from tidemill.stores.answer import to_answers


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer, logged under its id."""

    prediction_id: str
    answer: Answer
    model_version: int
    position: str

    def fields(self) -> dict[str, object]:
        """As JSON shows it."""
        return {
            "prediction_id": self.prediction_id,
            **self.answer.fields(),
            "model_version": self.model_version,
            "position": self.position,
        }


class Predictor:
    """Predicts for the models of a project.

    Args:
        workspace: where features are read and predictions logged.
        champions: which versions answer.
        now_ms: stream time, for requests that name no time of their own.
    """

    def __init__(self, workspace: Workspace, champions: Champions, now_ms: NowMs) -> None:
        self._workspace = workspace
        self._champions = champions
        self._now_ms = now_ms
        self._adapters = {model.name: TypeAdapter(list[model.request]) for model in workspace.project.models}  # type: ignore[name-defined]  # a model made at run time

    def parse(self, model: Model, body: bytes, max_rows: int) -> list[BaseModel]:
        """The requests of a JSON body: one object, or an array of them.

        Raises:
            InputError: not JSON, a field missing or of a wrong type, too many rows; names the place.
        """
        text = body if body.lstrip()[:1] == b"[" else b"[" + body + b"]"
        try:
            requests: list[BaseModel] = self._adapters[model.name].validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "body"
            raise InputError(f"{first['msg']}; a request has the fields {', '.join(model.request_kinds)}", where=where) from error
        if not 0 < len(requests) <= max_rows:
            raise InputError(f"{len(requests)} requests; send 1 to {max_rows}")
        for place, request in enumerate(requests):
            for name, value in request.__dict__.items():
                if isinstance(value, float) and not np.isfinite(value):
                    raise InputError(f"{value}; send null for a missing value", where=f"{place}.{name}")
        return requests

    def predict(self, model: Model, requests: Sequence[BaseModel], at_ms: int | None = None) -> list[Prediction]:
        """Answer requests, all asked at one time, after logging them.

        Raises:
            NotReadyError: the model has no champion yet.
            ConflictError: `at_ms` lies before what the tiles have already taken.
        """
        serving = self._champions.serving(model.name)
        asked_ms = self._now_ms() if at_ms is None else at_ms
        columns = model.request_columns([request.__dict__ for request in requests])
        lookups = [Lookup(source.name, source.keys(columns)) for source in model.sources]
        with stage("predict.read"):
            reading = self._workspace.state.tiles.read(lookups, asked_ms)
        if asked_ms < reading.known_at_ms:
            raise ConflictError(
                f"at={asked_ms} lies before {reading.known_at_ms}, which the tiles have taken; leave `at` out, or ask later"
            )
        vector = model.assemble(columns, reading.values)
        feed = to_feed(vector, model.columns)
        position = reading.position.token
        with stage("predict.score", reads=position):
            scored = {version: scorer.run(feed) for version, scorer in {held.version: held.scorer for held in serving.values()}.items()}
        ids = self._workspace.predictions.write(
            Answered(
                model=model.name,
                at_ms=asked_ms,
                made_wall_ms=wall_ms(),
                position=position,
                digest=model.source_digest,
                keys=[str(getattr(request, model.label.key)) for request in requests],
                requests=[orjson.dumps(request.model_dump(mode="json")).decode() for request in requests],
                numbers=np.column_stack([vector[name] for name in model.number_columns]),
                scores={role: (loaded.version, scored[loaded.version]) for role, loaded in serving.items()},
                texts=_logged_texts(model, vector),
                kind=model.objective.kind,
                classes={held.version: held.scorer.classes for held in serving.values() if held.scorer.classes},
            )
        )
        champion = serving["champion"]
        answers = to_answers(model.objective.kind, scored[champion.version], champion.scorer.classes)
        return [
            Prediction(str(prediction_id), answer, champion.version, position) for prediction_id, answer in zip(ids, answers, strict=True)
        ]


def _logged_texts(model: Model, vector: Mapping[str, Column]) -> list[bytes]:
    """A JSON object of each vector's texts that its request does not hold; empty where no column is such a text."""
    names = model.logged_texts
    return [orjson.dumps(dict(zip(names, row, strict=True))) for row in zip(*(vector[name] for name in names), strict=True)]
