"""From the text a source sent to a valid event, or the reason why not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tidemill.clock import to_ms
from tidemill.errors import EventError
from tidemill.events.stream import Stream
from tidemill.events.unreadable import why_unreadable

MAX_EVENT_BYTES = 65_536
MAX_KEY_BYTES = 500  # of texts by which something is found again together: an index holds them whole, beside an event's id
FORGOTTEN = '{"tidemill":"forgotten"}'  # what a log holds in place of an event whose contents were deleted
Keys = Sequence[Sequence[str]]
_INT64 = range(-(2**63), 2**63)
MAX_TIME_MS = 4_102_444_800_000  # 2100; keeps every sum of times well inside int64


@dataclass(frozen=True, slots=True)
class Event:
    """One valid event; `fields` is the pydantic object its stream declares."""

    event_id: str
    event_time_ms: int
    fields: BaseModel


def parse_event(payload: str, stream: Stream, known_at_ms: int, keys: Keys = ()) -> Event:
    """The event of `payload`.

    Args:
        payload: JSON text as it was sent.
        stream: whose event it claims to be.
        known_at_ms: when it was appended, to tell the future.
        keys: text fields that may not be longer than `MAX_KEY_BYTES`, alone or together.

    Raises:
        EventError: with the reason `too_large`, `not_json`, `unreadable`, `schema`, `not_finite`, `no_time`, `future` or `forgotten`.

    >>> class Reading(BaseModel):
    ...     reading_id: str
    ...     at: datetime
    >>> readings = Stream("readings", schema=Reading, event_time="at", event_id="reading_id")
    >>> parse_event('{"reading_id": "r1", "at": "2013-01-01T00:00:00Z"}', readings, 1_356_998_400_000).event_time_ms
    1356998400000
    """
    if len(payload) > MAX_EVENT_BYTES:
        raise EventError("too_large", f"an event of {len(payload)} characters; the most is {MAX_EVENT_BYTES}")
    if payload == FORGOTTEN:
        raise EventError("forgotten", "its contents were deleted with `tidemill forget`")
    try:
        fields = stream.schema.model_validate_json(payload, strict=True)
    except ValidationError as error:
        why = why_unreadable(payload)
        raise (_schema_error(error, stream) if why is None else EventError("unreadable", why)) from error
    except ValueError as error:  # a lone surrogate and the like, which pydantic cannot decode
        raise EventError("not_json", f"not text that JSON can hold: {error}") from error
    _check_values(fields, keys)
    moment = getattr(fields, stream.event_time)
    event_time_ms = _time_ms(moment, stream)
    if event_time_ms > known_at_ms + stream.max_ahead_ms:
        ahead_s = (event_time_ms - known_at_ms) / 1_000
        raise EventError("future", f"{stream.event_time}: {ahead_s:.0f} s in the future; at most {stream.max_ahead_ms / 1_000:.0f} s")
    event_id = getattr(fields, stream.event_id)
    if not event_id:
        raise EventError("schema", f"{stream.event_id}: empty; every event needs an id of its own")
    return Event(event_id, event_time_ms, fields)


def _schema_error(error: ValidationError, stream: Stream) -> EventError:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return EventError("not_json", first["msg"])
    if where == stream.event_time and first["type"] == "missing":
        return EventError("no_time", f"{where}: missing; every event says when it happened")
    words = words_of(first)
    if where == stream.event_time and first["type"] == "int_type":
        words += "; send whole milliseconds since 1970"
    return EventError("schema", f"{where or 'the event'}: {words} (stream {stream.name!r} expects {stream.schema.__name__})")


def words_of(fault: ErrorDetails) -> str:
    """What pydantic says of a value; of a time that it does not take also what to send, as many a program has a number."""
    is_time = fault["type"].startswith("datetime")
    return fault["msg"] + ("; send ISO 8601 with its zone, e.g. '2026-03-01T10:00:00Z'" if is_time else "")


def _check_values(fields: BaseModel, keys: Keys) -> None:
    for name, value in fields.__dict__.items():
        if why := unfit(value):
            raise EventError(why[0], f"{name}: {why[1]}")
    for names in keys:
        if why_not := unfit_key(*(getattr(fields, name) for name in names)):
            raise EventError("schema", f"{', '.join(names)}: {why_not}")


def unfit(value: object) -> tuple[str, str] | None:
    """Why no tile and no lake can hold a value, as a reason and in words; None where they can.

    Such a value is refused at the door: once applied, it would stop the engine at every try.

    >>> unfit(2**80)
    ('schema', 'a whole number of more than 64 bits')
    """
    if type(value) is float and not math.isfinite(value):
        return "not_finite", f"{value}; send null for a missing value"
    if type(value) is int and value not in _INT64:
        return "schema", "a whole number of more than 64 bits"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return "schema", f"{value.isoformat()} has no time zone; add one, e.g. 'Z' for UTC"
        try:
            value.astimezone(UTC)
        except OverflowError:
            return "schema", f"{value.isoformat()} lies outside the years 1 to 9999 of UTC"
    return None


def unfit_key(*parts: str | None) -> str | None:
    """Why texts cannot be, together, what something is found again by; None where they can.

    >>> unfit_key("x" * 501), unfit_key("a", None)
    ('a key of 501 bytes; at most 500', None)
    """
    n_bytes = key_bytes(parts)
    return f"a key of {n_bytes} bytes; at most {MAX_KEY_BYTES}" if n_bytes > MAX_KEY_BYTES else None


def key_bytes(parts: Iterable[object]) -> int:
    """How many bytes a key of these parts has in an index; where they are joined, a comma or `\\` of their own takes two."""
    return sum(len(part.encode()) + part.count(",") + part.count("\\") for part in parts if isinstance(part, str))


def _time_ms(moment: object, stream: Stream) -> int:
    if isinstance(moment, datetime):
        milliseconds = to_ms(moment)
    elif isinstance(moment, int | float):
        milliseconds = int(moment)
    else:
        raise EventError("no_time", f"{stream.event_time}: null; every event says when it happened")
    if not 0 <= milliseconds <= MAX_TIME_MS:
        raise EventError("schema", f"{stream.event_time}: outside 1970 to 2100; times are milliseconds since the epoch or ISO 8601")
    return milliseconds
