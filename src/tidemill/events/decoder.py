"""Decoding events fast: JSON texts of one stream straight to rows of plain values.

Decoding only ever accepts. What it does not take, `parse_event` judges, which alone says why an event is refused; so an event means
the same whichever of the two read it (a property test holds both against each other).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tidemill.events.event import MAX_EVENT_BYTES
from tidemill.events.stream import Stream

Row = tuple[Any, ...]

_MAX_LETTERS = 400  # pydantic stops at 200 levels of nesting, which take more letters than that
_MAX_NESTED = 64
_FINER_THAN_MICROSECONDS = re.compile(r"\.\d{7}")  # pydantic cuts such a time off, msgspec rounds it
_HARMLESS_CONFIG = frozenset({"title", "frozen"})


Decode = Callable[[Sequence[str]], list[Row | None]]


def make_decoder(stream: Stream) -> Decode:
    """A function from JSON texts to the events' values in the order of `stream.kinds`, or None where `parse_event` must judge.

    A schema with validators, constraints, aliases or a configuration of its own is always left to pydantic.
    """
    if not _is_plain(stream.schema):
        return lambda payloads: [None] * len(payloads)
    fields = [_field(name, info) for name, info in stream.schema.model_fields.items()]
    decode = msgspec.json.Decoder(msgspec.defstruct(stream.schema.__name__, fields, kw_only=True, gc=False)).decode
    astuple = msgspec.structs.astuple
    has_times = "time" in stream.kinds.values()

    def decode_one(payload: str) -> Row | None:
        if len(payload) > MAX_EVENT_BYTES or (len(payload) > _MAX_LETTERS and payload.count("{") + payload.count("[") > _MAX_NESTED):
            return None
        if has_times and _FINER_THAN_MICROSECONDS.search(payload):
            return None
        try:
            return astuple(decode(payload))
        except ValueError:  # not JSON, not this schema, or not text that UTF-8 can hold
            return None

    def decode_all(payloads: Sequence[str]) -> list[Row | None]:
        if not has_times and max(map(len, payloads), default=0) <= _MAX_LETTERS:
            with suppress(ValueError):
                return [astuple(decode(payload)) for payload in payloads]
        return [decode_one(payload) for payload in payloads]

    return decode_all


def _field(name: str, info: FieldInfo) -> tuple[Any, ...]:
    return (name, info.annotation) if info.is_required() else (name, info.annotation, info.default)


def _is_plain(schema: type[BaseModel]) -> bool:
    """Whether the schema says no more than names, types and defaults."""
    decorators = schema.__pydantic_decorators__
    validators = (decorators.field_validators, decorators.model_validators, decorators.root_validators, decorators.validators)
    own = [name for name in ("__init__", "__new__", "model_post_init") if getattr(schema, name) is not getattr(BaseModel, name)]
    core = schema.__get_pydantic_core_schema__.__func__ is not BaseModel.__get_pydantic_core_schema__.__func__  # type: ignore[attr-defined]  # a class method has one
    return not (any(validators) or own or core or set(schema.model_config) - _HARMLESS_CONFIG) and all(
        _is_plain_field(info) for info in schema.model_fields.values()
    )


def _is_plain_field(info: FieldInfo) -> bool:
    named = info.alias is not None or info.validation_alias is not None
    return not (info.metadata or named or info.default_factory or info.discriminator or info.validate_default)
