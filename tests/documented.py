"""An OpenAPI document, to hold answers against: each must be one that the document tells of, in the form that it tells."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator

JSON = "application/json"


class Document:
    """What the OpenAPI document of an application says.

    Its schemas are taken strictly: an object has no other fields than those they name, so that none can be left out of them.

    Args:
        made: the document.
    """

    def __init__(self, made: dict[str, Any]) -> None:
        self.made = made
        self._validators: dict[tuple[str, str], Draft202012Validator] = {}

    @cached_property
    def routes(self) -> dict[str, dict[str, Any]]:
        """What is said of each route, by method and path."""
        return {f"{method.upper()} {path}": said for path, methods in self.made["paths"].items() for method, said in methods.items()}

    def faults(self, route: str, status: int | str, kind: str, body: bytes) -> list[str]:
        """What of an answer the document does not say: its status, its kind, each part of its JSON.

        Args:
            route: method and path, as the document has it.
            status: of the answer.
            kind: its content type.
            body: as it was sent.
        """
        said = self.routes[route]["responses"].get(str(status))
        if said is None:
            return [f"{route} answers {status}, of which nothing is said"]
        media = kind.partition(";")[0]
        if media not in said["content"]:
            return [f"{route} answers {status} as {kind!r}; {', '.join(said['content'])} is said"]
        if media != JSON:
            return []
        return [f"{route} {status}: {what}" for what in self.misfits(route, str(status), orjson.loads(body))]

    def misfits(self, route: str, status: str, value: object) -> list[str]:
        """Why a JSON value is none that the schema of an answer allows; empty where it is one."""
        if (route, status) not in self._validators:
            schema = self.routes[route]["responses"][status]["content"][JSON]["schema"]
            self._validators[route, status] = Draft202012Validator(_strict(self._whole(schema)))
        return [f"{one.instance_path} {one.message}" for one in self._validators[route, status].iter_errors(value)]

    def takes(self, route: str, body: object) -> bool:
        """Whether a JSON value is a body that a route says it takes; of fields that it does not name there may be more."""
        schema = self.routes[route]["requestBody"]["content"][JSON]["schema"]
        return Draft202012Validator(self._whole(schema)).is_valid(body)

    def bodies(self, route: str) -> Iterator[object]:
        """The examples of bodies of a route in JSON."""
        shown: dict[str, dict[str, Any]] = self.routes[route]["requestBody"]["content"][JSON]["examples"]
        yield from (one["value"] for one in shown.values())

    def examples(self) -> Iterator[tuple[str, str, object]]:
        """Route, status and value of each example of an answer in JSON."""
        for route, asked in self.routes.items():
            for status, said in asked["responses"].items():
                told = said.get("content", {}).get(JSON, {})
                shown = [one["value"] for one in told.get("examples", {}).values()] + ([told["example"]] if "example" in told else [])
                yield from ((route, status, value) for value in shown)

    def is_empty(self, schema: Mapping[str, Any]) -> bool:
        """Whether a schema says nothing of a value but that it is an object, an array or one of several that say nothing."""
        if "$ref" in schema:
            return self.is_empty(self.made["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        if "anyOf" in schema:
            return any(self.is_empty(one) for one in schema["anyOf"])
        if schema.get("type") == "array":
            return self.is_empty(schema.get("items", {}))
        return not schema.get("properties") if schema.get("type") == "object" else "type" not in schema

    def _whole(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """A schema beside the ones that it names."""
        return {**schema, "components": {"schemas": self.made["components"]["schemas"]}}


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A copy of a schema whose objects have no other fields than those it names."""
    made = copy.deepcopy(schema)
    waiting: list[Any] = [made]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict) and isinstance(one.get("properties"), dict):
            one.setdefault("additionalProperties", False)
        if isinstance(one, dict | list):
            waiting.extend(one.values() if isinstance(one, dict) else one)
    return made
