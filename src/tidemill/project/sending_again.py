"""Dead letters, sent again once what was wrong with them is mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.errors import EventError, LateEventError
from tidemill.events import parse_event
from tidemill.project.workspace import Workspace
from tidemill.streams import Entry

_AT_ONCE = 1_000


@dataclass(frozen=True)
class SentAgain:
    """What became of a stream's dead letters.

    Args:
        sent: so many were appended to the log again; the engine has the last word.
        known: so many need not be, as an event of that id has been applied, or is among those sent.
        left: by reason, how many would be refused once more, and stay as they are.
    """

    sent: int
    known: int
    left: Mapping[str, int]


def send_again(workspace: Workspace, stream: str, now_ms: int) -> SentAgain:
    """Append those dead letters of a stream to its log that are events by today's project file.

    What would only be refused once more is left alone, so that doing it twice fills neither log nor dead letters. What comes back while
    it is at work is left for the next time.

    Args:
        workspace: of the project.
        stream: whose dead letters.
        now_ms: when they become known, which decides what is late.

    Raises:
        NotFoundError: no such stream.
    """
    sent: set[str] = set()
    known, left = 0, Counter[str]()
    for letters in _pages(workspace, stream):
        ids: dict[int, str] = {}
        for place, letter in enumerate(letters):
            try:
                ids[place] = _id_of_event(workspace, stream, letter["payload"], now_ms)
            except EventError as error:
                left[error.reason] += 1
        until_ms = workspace.state.seen(stream, list(ids.values()))
        entries = []
        for place, event_id in ids.items():
            if event_id in sent or until_ms.get(event_id, -1) >= now_ms:
                known += 1
            else:
                sent.add(event_id)
                entries.append(Entry(stream, letters[place]["payload"]))
        if entries:
            workspace.log.append(entries, now_ms)
    return SentAgain(len(sent), known, dict(left))


def _pages(workspace: Workspace, stream: str) -> Iterator[list[dict[str, Any]]]:
    """The dead letters that are there now, some at a time."""
    newest = workspace.state.dead_letters(workspace.project.stream(stream).name, 1)
    last, after = (newest[0]["known_at_ms"] if newest else -1), -1
    while letters := workspace.state.dead_letters_after(stream, after, _AT_ONCE):
        after = letters[-1]["log_offset"]
        yield [letter for letter in letters if letter["known_at_ms"] <= last]


def _id_of_event(workspace: Workspace, stream: str, payload: str, now_ms: int) -> str:
    """The id of an event that the engine would apply.

    Raises:
        EventError: it would not, and why.
    """
    project = workspace.project
    event, retention_ms = parse_event(payload, project.stream(stream), now_ms, project.keys[stream]), project.retention_ms[stream]
    if (late_by_ms := now_ms - event.event_time_ms) > retention_ms:
        raise LateEventError(stream=stream, event_id=event.event_id, late_by_ms=late_by_ms, retention_ms=retention_ms)
    return event.event_id
