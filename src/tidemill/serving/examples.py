"""What `/docs` shows of predicting: for each model of the project a request, and an answer as its task gives it."""

from __future__ import annotations

from typing import Any

from tidemill.events import FieldKind
from tidemill.learning import Model
from tidemill.project import Project
from tidemill.serving.features import KeysAsked
from tidemill.stores import Answer, AnswerKind

_VALUES: dict[FieldKind, object] = {"number": 1, "text": "a", "time": "2025-01-15T08:00:00Z"}
_ANSWERS: dict[AnswerKind, Answer] = {
    "probability": Answer(probability=0.73),
    "probabilities": Answer(probabilities={"a": 0.73, "b": 0.2, "c": 0.07}),
    "value": Answer(value=41.5),
}


def predict_examples(project: Project) -> dict[str, Any]:
    """The examples of the route that predicts, as arguments of a FastAPI route."""
    requests = {model.name: {"summary": f"A request of {model.name}", "value": _request(model)} for model in project.models}
    answers = {
        model.name: {"summary": f"An answer of {model.name}, a {model.objective.task} model", "value": _answer(model)}
        for model in project.models
    }
    body = {"required": True, "content": {"application/json": {"schema": {}, "examples": requests}}}
    answered = {"description": "One answer, or an array of them", "content": {"application/json": {"examples": answers}}}
    return {"openapi_extra": {"requestBody": body}, "responses": {200: answered}}


def event_examples(project: Project) -> dict[str, Any]:
    """The body of the route that takes events, as arguments of a FastAPI route."""
    events = {
        stream.name: {"summary": f"An event of {stream.name}", "value": [{name: _VALUES[kind] for name, kind in stream.kinds.items()}]}
        for stream in project.streams
    }
    lines = {"schema": {"type": "string"}, "example": '{"id": "1"}\n{"id": "2"}'}
    many = {"schema": {"type": "array", "items": {}, "minItems": 1}, "examples": events}
    return _body({"application/json": many, "application/x-ndjson": lines})


def keys_examples(project: Project) -> dict[str, Any]:
    """The body of the route that reads many keys, as arguments of a FastAPI route."""
    asked = {one.name: {"summary": f"Two keys of {one.name}", "value": {"keys": ["a", "b"]}} for one in project.sources}
    return _body({"application/json": {"schema": KeysAsked.model_json_schema(), "examples": asked}})


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"openapi_extra": {"requestBody": {"required": True, "content": content}}}


def _request(model: Model) -> dict[str, object]:
    return {name: _VALUES[kind] for name, kind in model.request_kinds.items()}


def _answer(model: Model) -> dict[str, object]:
    said = _ANSWERS[model.objective.kind].fields()
    return {"prediction_id": "17", **said, "model_version": 3, "position": '{"orders":{"0":1042}}'}
