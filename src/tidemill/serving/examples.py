"""What `/docs` shows: for each model of the project a request, and an answer as its task gives it; and what other answers are made of."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from tidemill.errors import BusyError, InputError, NotFoundError, NotReadyError
from tidemill.features import FeatureSource
from tidemill.kernels import Floats
from tidemill.learning import Explanation, Model
from tidemill.learning.explaining import Scale
from tidemill.project import Project, example_event, example_request
from tidemill.serving.describing import Examples, Refused, answered
from tidemill.serving.features import KeysAsked
from tidemill.serving.prediction import Predicted
from tidemill.stores import Answer, AnswerKind, Decision
from tidemill.stores.decision_records import decision_id
from tidemill.streams import Position

EXAMPLE_MS = 1_736_928_000_000  # 2025-01-15 at 8, as in `example_request`
EXAMPLE_VERSION = 3
_NO_INTEGER = InputError("Input should be a valid integer, unable to parse string as an integer", where="query.limit")
NO_NUMBER: Refused = "A limit that is no number", _NO_INTEGER

_ANSWERS: dict[AnswerKind, Answer] = {
    "probability": Answer(probability=0.73),
    "probabilities": Answer(probabilities={"a": 0.73, "b": 0.2, "c": 0.07}),
    "value": Answer(value=41.5),
}
_SCALES: dict[AnswerKind, Scale] = {"probability": "log_odds", "probabilities": "log_share", "value": "value"}


def request_schemas(project: Project) -> dict[str, Any]:
    """The JSON schema of each model's request, by its name among the schemas of the document."""
    made = {_schema_name(model): {**model.request.model_json_schema(), "title": f"A request of {model.name}"} for model in project.models}
    schemas: dict[str, Any] = orjson.loads(orjson.dumps(made))  # a default that is no number becomes null
    return schemas


def predict_examples(project: Project, max_rows: int) -> dict[str, Any]:
    """The body and the examples of the route that predicts, as arguments of a FastAPI route.

    Args:
        project: whose models are asked.
        max_rows: requests that a body may hold.
    """
    requests = {model.name: {"summary": f"A request of {model.name}", "value": example_request(model)} for model in project.models}
    answers: Examples = {
        model.name: (f"An answer of {model.name}, a {model.objective.task} model", _answer(model)) for model in project.models
    }
    explained: Examples = {
        f"{model.name}, explained": ("The same with explain=true, where a column is missing", _explained(model)) for model in project.models
    }
    refs = [{"$ref": f"#/components/schemas/{_schema_name(model)}"} for model in project.models]
    many = [{"type": "array", "items": ref, "minItems": 1, "maxItems": max_rows} for ref in refs]
    schema = {"anyOf": refs + many} if refs else {"type": "object"}
    body = {"required": True, "content": {"application/json": {"schema": schema, "examples": requests}}}
    told = answered(
        {**answers, **explained},
        no_model(project),
        no_champion(project),
        (
            "A request that cannot be understood",
            InputError("Input should be a valid number; a request has the fields ...", where="0.amount"),
        ),
        ("Too many answers wait to be logged", BusyError("50000 answers wait to be logged, at most 50000 may; ask again", retry_after_s=1)),
        shape=Predicted | list[Predicted],
    )
    return {"openapi_extra": {"requestBody": body}, **told}


def event_examples(project: Project) -> dict[str, Any]:
    """The body of the route that takes events, as arguments of a FastAPI route."""
    events = {stream.name: {"summary": f"An event of {stream.name}", "value": [example_event(stream)]} for stream in project.streams}
    lines = {
        stream.name: {"summary": f"An event of {stream.name}, a line", "value": orjson.dumps(example_event(stream)).decode()}
        for stream in project.streams
    }
    many = {"schema": {"type": "array", "items": {}, "minItems": 1}, "examples": events}
    return _body({"application/json": many, "application/x-ndjson": {"schema": {"type": "string"}, "examples": lines}})


def keys_examples(project: Project) -> dict[str, Any]:
    """The body of the route that reads many keys, as arguments of a FastAPI route."""
    keys = {one.name: [",".join([part] * len(one.entity_fields)) for part in "ab"] for one in project.sources}
    asked = {name: {"summary": f"Two keys of {name}", "value": {"keys": two}} for name, two in keys.items()}
    return _body({"application/json": {"schema": KeysAsked.model_json_schema(), "examples": asked}})


def no_model(project: Project) -> Refused:
    """What is answered of a model that there is not."""
    return "No such model", NotFoundError("model", "nobody", [model.name for model in project.models])


def no_champion(project: Project) -> Refused:
    """What is answered while a model has no champion."""
    name = next((model.name for model in project.models), "refund")
    return "No champion yet", NotReadyError(f"model {name!r} has no champion yet; train one with `tidemill train {name}`")


def example_position(sources: Sequence[FeatureSource]) -> str:
    """The token of a position in the streams of views and tables."""
    return Position({source.stream.name: {"0": 1042} for source in sources}).token


def example_said(model: Model) -> tuple[Floats, Floats]:
    """Outcomes of twelve questions, (12,), and what a model said of them, as `Scorer.run` answers."""
    place: Floats = np.arange(12, dtype=np.float64)
    if model.objective.kind == "value":
        return 40.0 + place % 5, 41.5 + place % 3
    likely = np.array([0.7, 0.2, 0.2, 0.2] * 3)
    if model.objective.kind == "probability":
        return np.array([1.0, 0.0, 0.0] * 4), likely
    return place % 3, np.column_stack((likely, 0.9 - likely, np.full(12, 0.1)))


def example_decision(model: Model) -> Decision:
    """A rollback of a model that has ended."""
    return Decision(
        id=decision_id(EXAMPLE_MS, random.Random(model.name)),
        model=model.name,
        trigger="manual",
        alarm_key="rollback:http-1",
        reason=f"back to version {EXAMPLE_VERSION}, by ann",
        requested_at_ms=EXAMPLE_MS,
        requested_wall_ms=EXAMPLE_MS,
        evidence={"asked_by": "ann"},
        state="finished",
        outcome="rolled_back",
        from_version=str(EXAMPLE_VERSION + 1),
        to_version=str(EXAMPLE_VERSION),
        claimed_wall_ms=EXAMPLE_MS + 12,
        finished_at_ms=EXAMPLE_MS,
        finished_wall_ms=EXAMPLE_MS + 850,
        flow_run_id="http-1",
        act="rollback",
        decided_by="ann",
    )


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"openapi_extra": {"requestBody": {"required": True, "content": content}}}


def _schema_name(model: Model) -> str:
    return f"{model.name}.{model.request.__name__}"  # of two models the requests may have one name, which may be one of ours too


def _answer(model: Model) -> dict[str, object]:
    said = _ANSWERS[model.objective.kind].fields()
    return {"prediction_id": "17", **said, "model_version": EXAMPLE_VERSION, "position": example_position(model.sources)}


def _explained(model: Model) -> dict[str, object]:
    """An answer to a request that lacks the last column, explained: each column moves it less than the one before."""
    kind = model.objective.kind
    said = {"probability": 0.9946, "probabilities": 0.9027, "value": 41.5}[kind]
    parts = {name: round(0.8 / 2**place, 4) for place, name in enumerate(model.columns)}
    why = Explanation(_SCALES[kind], round(said - sum(parts.values()), 4), said, parts, 0.0, "a" if kind == "probabilities" else None)
    return {**_answer(model), "missing": {list(model.columns)[-1]: 5_400_000}, "explanation": why.fields()}
