"""The door for events: what is said at once of each, while the engine has the last word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import TypedDict

from tidemill.errors import EventError, InputError
from tidemill.events import parse_event
from tidemill.project import Workspace
from tidemill.stages import stage, trace_parent
from tidemill.streams import Entry

_MAX_DEPTH = 32


class Rejected(TypedDict):
    """An event that will not be applied: its place among those that were sent, a short code, and the same for a person."""

    index: int
    reason: str
    detail: str


@dataclass(frozen=True)
class Received:
    """What became of a request's events, as known at the door; the books have the last word.

    Rejected events are appended like the others: the engine counts them and keeps them with the reason, so nothing sent is lost.
    """

    accepted: int
    duplicates: int
    rejected: list[Rejected]


def split_events(body: bytes, max_events: int) -> list[str]:
    """The texts of a body's events: a JSON array, or one JSON object a line.

    Raises:
        InputError: not UTF-8, an array that is not JSON, too deep or too many.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}; send JSON") from error
    # not by splitlines, which would also split at U+2028, which a text of JSON may hold
    if text.lstrip()[:1] == "[":
        return _array(text, max_events)
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    _check_number(len(lines), max_events)
    return lines


def receive(workspace: Workspace, stream_name: str, payloads: Sequence[str], now_ms: int) -> Received:
    """Append a request's events to the log; durable on return.

    Raises:
        NotFoundError: no such stream.
    """
    stream, keys = workspace.project.stream(stream_name), workspace.project.keys[stream_name]
    ids: dict[int, str] = {}
    rejected: list[Rejected] = []
    for index, payload in enumerate(payloads):
        try:
            ids[index] = parse_event(payload, stream, now_ms, keys).event_id
        except EventError as error:
            rejected.append({"index": index, "reason": error.reason, "detail": error.detail})
    known_until = workspace.state.seen(stream_name, list(ids.values()))
    known = {event_id for event_id, until_ms in known_until.items() if until_ms >= now_ms}
    fresh = set(ids.values()) - known
    with stage("door.append", stream=stream_name, events=len(payloads)):
        trace = trace_parent()
        workspace.log.append([Entry(stream_name, payload, trace=trace) for payload in payloads], now_ms)
    return Received(accepted=len(fresh), duplicates=len(ids) - len(fresh), rejected=rejected)


def _check_number(n_events: int, most: int) -> None:
    if not 0 < n_events <= most:
        raise InputError(f"{n_events} events; send 1 to {most} a request, as a JSON array or one object a line")


def _array(text: str, max_events: int) -> list[str]:
    try:
        events = json.loads(text)  # not orjson: it refuses a whole array for one NaN, and the other events are good
    except (ValueError, RecursionError) as error:
        raise InputError(f"not a JSON array: {error}; nothing was kept. Send one object a line to have each judged on its own") from error
    _check_number(len(events), max_events)  # of a million zeros nobody needs to know how deep they are
    if _depth(events) > _MAX_DEPTH:
        raise InputError(f"nested deeper than {_MAX_DEPTH}")
    return [json.dumps(event) for event in events]


def _depth(value: object) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        deepest = max(deepest, depth)
        if isinstance(item, dict | list):
            inner = item.values() if isinstance(item, dict) else item
            waiting.extend((part, depth + 1) for part in inner)
    return deepest
