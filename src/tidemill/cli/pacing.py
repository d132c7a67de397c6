"""Appending a file's events at the pace they happened."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from tidemill.clock import wall_ms
from tidemill.errors import EventError
from tidemill.events import Stream, parse_event
from tidemill.stores import copy_file, lines_of
from tidemill.streams import Entry, Log

_FAR_AHEAD_MS = 4_102_444_800_000
_TICK_S = 0.05


def paced(log: Log, stream: Stream, file: Path, speed: float) -> int:
    """Append every line when its event time comes, `speed` times faster than it happened; 0 for at once. Answers how many.

    Raises:
        InputError: there is no such file.
    """
    if speed == 0:
        return copy_file(log, stream.name, file, wall_ms())
    appended, begin_s, first_ms = 0, time.monotonic(), None
    for line in lines_of(file):
        event_ms = _event_ms(line, stream)
        if event_ms is not None:
            first_ms = event_ms if first_ms is None else first_ms
            due_s = begin_s + (event_ms - first_ms) / 1_000 / speed
            if due_s > time.monotonic() + _TICK_S:
                time.sleep(due_s - time.monotonic())
        log.append([Entry(stream.name, line)], wall_ms())
        appended += 1
    return appended


def _event_ms(line: str, stream: Stream) -> int | None:
    """The event time of a line; of one that cannot be read None: it goes with the line before it, for the engine to judge."""
    with suppress(EventError):
        return parse_event(line, stream, _FAR_AHEAD_MS).event_time_ms
    return None
