"""What the OpenAPI document says of answers: an example beside each schema, and every refusal that a route can give, in its one form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from tidemill.errors import TidemillError, UnavailableError
from tidemill.serving.refusing import HOW_TO_CALL, refusal
from tidemill.stores import Scope

Examples = Mapping[str, tuple[str, object]]  # by name, what it is an example of, and a value of the answer's type
Refused = tuple[str, TidemillError]  # when it happens, and an error as it is raised then

_NOT_OURS = ("HTTPValidationError", "ValidationError")  # FastAPI's form of a 422, in which nothing is answered here


class Problem(TypedDict):
    """What is wrong: `where` names the part of the request, or what it is about; `what` says it to a person, and what to do."""

    where: str
    what: str


class Refusal(TypedDict):
    """The body of every answer that is an error."""

    error: Problem


def answered(examples: Examples, *refused: Refused, shape: Any = None) -> dict[str, Any]:
    """What a route answers, as arguments of it.

    Args:
        examples: of the answer 200.
        refused: what is answered instead, beside what `everywhere` adds to each route; of one status the first.
        shape: the type of the answer, where the route makes its JSON by itself.
    """
    ok: dict[str, Any] = {"content": {"application/json": {"examples": _shown(examples)}}}
    told = {status: said for status, said in reversed([_refused(*one) for one in refused])}
    return {"responses": {200: ok if shape is None else {"model": shape, **ok}, **told}}


def everywhere(said: dict[str, Any], scope: Scope | None) -> None:
    """Add to a route of the document the refusals that it shares with others; what it says of a status itself stays.

    Args:
        said: what the document says of the route; it is changed.
        scope: that it asks for.
    """
    own = {status: response for status, response in said["responses"].items() if not _is_foreign(response)}
    shared = {**_BEFORE_ALL, **(_OF_BODIES if "requestBody" in said else {}), **({} if scope is None else _denied(scope))}
    said["responses"] = dict(sorted({**shared, **own}.items()))


def show_whole(said: dict[str, Any], responses: Mapping[int | str, Mapping[str, Any]]) -> None:
    """Put examples of answers as they are in place of FastAPI's, which leaves out whatever is null.

    Args:
        said: what the document says of a route; it is changed.
        responses: as the route was given them.
    """
    for status, response in responses.items():
        for kind, told in response.get("content", {}).items():
            said["responses"][str(status)]["content"][kind] |= {name: told[name] for name in ("example", "examples") if name in told}


def share_refusal(schemas: dict[str, Any]) -> None:
    """Put the form of a refusal in the place of FastAPI's own among the schemas of a document; they are changed."""
    made = TypeAdapter(Refusal).json_schema(ref_template="#/components/schemas/{model}")
    schemas |= {**made.pop("$defs"), Refusal.__name__: made}
    for name in _NOT_OURS:
        schemas.pop(name, None)


def _shown(examples: Examples) -> dict[str, Any]:
    return {name: {"summary": summary, "value": orjson.loads(orjson.dumps(value))} for name, (summary, value) in examples.items()}


def _refused(description: str, error: TidemillError) -> tuple[int, dict[str, Any]]:
    answer = refusal(error)
    return answer.status_code, _said(answer.status_code, description, orjson.loads(answer.body))


def _said(status: int, description: str, example: object) -> dict[str, Any]:
    content = {"application/json": {"schema": _REFUSAL, "example": example}}
    said: dict[str, Any] = {"description": description, "content": content}
    if status in (429, 503):
        said["headers"] = {"Retry-After": {"description": "Seconds after which to come again", "schema": {"type": "integer"}}}
    return said


def _shared(status: int, description: str, where: str, what: str) -> dict[str, Any]:
    return {str(status): _said(status, description, {"error": {"where": where, "what": what}})}


def _denied(scope: Scope) -> dict[str, Any]:
    other = "predict" if scope == "read" else "read"
    return {
        **_shared(401, "No key, or none that stands", "header Authorization", f"no key that stands; {HOW_TO_CALL}"),
        **_shared(403, f"The key has not the scope `{scope}`, or another site asks", "key", f"'ann' may {other}; this asks for {scope}"),
    }


def _is_foreign(response: Mapping[str, Any]) -> bool:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return any(str(schema.get("$ref", "")).endswith(f"/{name}") for name in _NOT_OURS)


_REFUSAL = {"$ref": f"#/components/schemas/{Refusal.__name__}"}  # as a `model` it would be made anew for each status of each route
_AWAY = UnavailableError("PostgreSQL at 10.0.0.5:5432 does not answer: connection refused")
_BEFORE_ALL = {
    **_shared(403, "Another site asks", "header Origin", "'https://example.com' is another site; this server answers its own page"),
    **_shared(421, "Not a name of this server", "header Host", "'example.com' is not a loopback name; call 127.0.0.1"),
    **_shared(429, "One caller asks too often", "key", "'ann' asks more often than TIDEMILL_SERVER__RATE_PER_KEY allows"),
    **_shared(503, "What it needs does not answer just now", type(_AWAY).__name__, str(_AWAY)),
}
_OF_BODIES = {
    **_shared(408, "The body does not come", "body", "it does not come; send it at once, or events as lines"),
    **_shared(413, "The body is too large", "body", "5000000 bytes; at most 4000000, send it in parts"),
    **_shared(415, "The body is packed", "header Content-Encoding", "'gzip'; send the body as it is, not packed"),
}
