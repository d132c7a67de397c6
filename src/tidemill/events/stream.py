"""A stream: a named, typed, append-only sequence of events."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel

from tidemill.clock import MINUTE_MS, duration_ms
from tidemill.errors import ProjectError
from tidemill.events.source import Source

FieldKind = typing.Literal["number", "text", "time"]

_KINDS: dict[type, FieldKind] = {int: "number", float: "number", bool: "number", str: "text", datetime: "time"}


@dataclass(frozen=True)
class Stream:
    """What events of one kind look like.

    Args:
        name: unique in the project.
        schema: a pydantic model; its fields are `int`, `float`, `bool`, `str` or an aware `datetime`, each optionally `| None`.
        event_time: the field that says when it happened.
        event_id: the field that names the event; unique in the stream, the first known wins.
        allowed_lateness: how much longer than its longest window the stream accepts old events, e.g. `"6h"`.
        max_ahead: how far in the future an event may lie when it becomes known.
        source: where its events are copied from, beside what comes over HTTP; see `tidemill.sources`.

    Raises:
        ProjectError: a field is missing or of a type that cannot be stored.

    >>> class Reading(BaseModel):
    ...     reading_id: str
    ...     at: datetime
    ...     celsius: float | None
    >>> Stream("readings", schema=Reading, event_time="at", event_id="reading_id").kinds["celsius"]
    'number'
    """

    name: str
    schema: type[BaseModel]
    event_time: str
    event_id: str
    allowed_lateness: str | int = "24h"
    max_ahead: str | int = 5 * MINUTE_MS
    source: Source | None = None
    kinds: dict[str, FieldKind] = field(init=False, repr=False, compare=False)
    python_types: dict[str, type] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the declaration."""
        where = f"stream {self.name!r}"
        python_types = {name: _plain_type(info.annotation, where, name) for name, info in self.schema.model_fields.items()}
        object.__setattr__(self, "python_types", python_types)
        object.__setattr__(self, "kinds", {name: _KINDS[python_type] for name, python_type in python_types.items()})
        for role, name in (("event_time", self.event_time), ("event_id", self.event_id)):
            if name not in self.kinds:
                raise ProjectError(f"{role}={name!r} is not a field of {self.schema.__name__}", where=where, fix=_choices(self.kinds))
        if self.kinds[self.event_id] != "text":
            raise ProjectError(f"event_id={self.event_id!r} is not text", where=where, fix="declare it as str")
        for text, example in ((self.allowed_lateness, "allowed_lateness='6h'"), (self.max_ahead, "max_ahead='5min'")):
            try:
                duration_ms(text)
            except ValueError as error:
                raise ProjectError(str(error), where=where, fix=f"write e.g. {example}") from error

    @property
    def allowed_lateness_ms(self) -> int:
        """`allowed_lateness` in milliseconds."""
        return duration_ms(self.allowed_lateness)

    @property
    def max_ahead_ms(self) -> int:
        """`max_ahead` in milliseconds."""
        return duration_ms(self.max_ahead)


def _plain_type(annotation: typing.Any, where: str, name: str) -> type:
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return _plain_type(members[0], where, name)
    if isinstance(annotation, type) and annotation in _KINDS:
        return annotation
    fix = "use int, float, bool, str or an aware datetime, optionally '| None'"
    raise ProjectError(f"field {name!r} has the type {annotation!r}", where=where, fix=fix)


def _choices(names: typing.Iterable[str]) -> str:
    return f"choose one of {', '.join(names)}"
