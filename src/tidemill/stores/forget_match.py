"""Whether an event, a request or a text is about one entity: a field of that name that holds that value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import orjson

from tidemill.events import Stream


@dataclass(frozen=True)
class Entity:
    """A field and what it holds, as text: `Entity("card", "4711")` is found whether a source sends "4711" or 4711.

    >>> card = Entity("card", "4711")
    >>> card.is_in('{"card": 4711}', ["card"]), card.is_in('{"card": "47110"}', ["card"]), card.is_in('{"card": "4711", torn', ["card"])
    (True, False, True)
    """

    field: str
    value: str

    @cached_property
    def forms(self) -> frozenset[str]:
        """How the value may stand in a JSON text."""
        return frozenset({self.value, json.dumps(self.value)[1:-1], json.dumps(self.value, ensure_ascii=False)[1:-1]})

    @cached_property
    def written(self) -> frozenset[str]:
        """How it may stand in a file: also in a JSON text within a JSON text, as the lake's extremes do, and as a part of a key."""
        forms = self.forms | {self.value.replace("\\", "\\\\").replace(",", "\\,")}
        return forms | {json.dumps(form, ensure_ascii=False)[1:-1] for form in forms}

    @cached_property
    def _word(self) -> re.Pattern[str]:
        return re.compile("|".join(rf"(?<!\w){re.escape(form)}(?!\w)" for form in sorted(self.forms)))

    def names_in(self, stream: Stream) -> list[str]:
        """What the field is called in the JSON of a stream's events; nothing where the stream has no such field."""
        info = stream.schema.model_fields.get(self.field)
        if info is None:
            return []
        return [name for name in (self.field, info.alias, info.validation_alias) if isinstance(name, str)]

    def is_in(self, payload: str, names: list[str]) -> bool:
        """Whether a JSON object holds the value in one of these fields; of a text that is no JSON object, whether it mentions it."""
        if self.value not in payload and "\\" not in payload:  # most are of others, and need not be read
            return False
        try:
            found = orjson.loads(payload)
        except ValueError:
            found = None
        if not isinstance(found, Mapping):
            return self.is_mentioned(payload)
        return any(name in found and as_text(found[name]) == self.value for name in names)

    def is_mentioned(self, text: str) -> bool:
        """Whether the value stands somewhere in a text as a word."""
        return self._word.search(text) is not None


def as_text(value: object) -> str | None:
    """A JSON value as the text that a person would name it by."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
