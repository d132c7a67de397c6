"""What `/docs` shows of predicting: for each model of the project a request, and an answer as its task gives it."""

from __future__ import annotations

from typing import Any

import orjson

from tidemill.learning import Explanation, Model
from tidemill.learning.explaining import Scale
from tidemill.project import Project, example_event, example_request
from tidemill.serving.features import KeysAsked
from tidemill.stores import Answer, AnswerKind

_ANSWERS: dict[AnswerKind, Answer] = {
    "probability": Answer(probability=0.73),
    "probabilities": Answer(probabilities={"a": 0.73, "b": 0.2, "c": 0.07}),
    "value": Answer(value=41.5),
}
_SCALES: dict[AnswerKind, Scale] = {"probability": "log_odds", "probabilities": "log_share", "value": "value"}
_REFUSALS: dict[int | str, tuple[str, str, str]] = {
    404: ("No such model", "nobody", "no model 'nobody'; there is: refund"),
    409: ("No champion yet", "NotReadyError", "model 'refund' has no champion yet; train one with `tidemill train refund`"),
    413: ("The body is too large", "body", "5000000 bytes; at most 4000000, send it in parts"),
    422: ("A request that cannot be understood", "0.amount", "0.amount: Input should be a valid number; a request has the fields ..."),
    429: ("Too many answers wait to be logged; `Retry-After` says when to come again", "BusyError", "50000 answers wait to be logged, ..."),
    503: ("The store does not answer; `Retry-After` likewise", "UnavailableError", "PostgreSQL at ... does not answer: ..."),
}


def predict_examples(project: Project) -> dict[str, Any]:
    """The examples of the route that predicts, as arguments of a FastAPI route."""
    requests = {model.name: {"summary": f"A request of {model.name}", "value": example_request(model)} for model in project.models}
    answers = {
        model.name: {"summary": f"An answer of {model.name}, a {model.objective.task} model", "value": _answer(model)}
        for model in project.models
    }
    answers |= {
        f"{model.name}, explained": {"summary": "The same with explain=true, where a column is missing", "value": _explained(model)}
        for model in project.models
    }
    body = {"required": True, "content": {"application/json": {"schema": {}, "examples": requests}}}
    answered = {"description": "One answer, or an array of them", "content": {"application/json": {"examples": answers}}}
    refused = {status: _refusal(*told) for status, told in _REFUSALS.items()}
    return {"openapi_extra": {"requestBody": body}, "responses": {200: answered, **refused}}


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


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"openapi_extra": {"requestBody": {"required": True, "content": content}}}


def _refusal(description: str, where: str, what: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": {"error": {"where": where, "what": what}}}}}


def _answer(model: Model) -> dict[str, object]:
    said = _ANSWERS[model.objective.kind].fields()
    return {"prediction_id": "17", **said, "model_version": 3, "position": '{"orders":{"0":1042}}'}


def _explained(model: Model) -> dict[str, object]:
    """An answer to a request that lacks the last column, explained: each column moves it less than the one before."""
    kind = model.objective.kind
    said = {"probability": 0.9946, "probabilities": 0.9027, "value": 41.5}[kind]
    parts = {name: round(0.8 / 2**place, 4) for place, name in enumerate(model.columns)}
    why = Explanation(_SCALES[kind], round(said - sum(parts.values()), 4), said, parts, 0.0, "a" if kind == "probabilities" else None)
    return {**_answer(model), "missing": {list(model.columns)[-1]: 5_400_000}, "explanation": why.fields()}
