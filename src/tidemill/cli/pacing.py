"""Appending a file's events at the pace they happened."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from tidemill.clock import wall_ms
from tidemill.errors import EventError
from tidemill.events import Stream, parse_event
from tidemill.stores import copy_file
from tidemill.streams import Entry, Log

_FAR_AHEAD_MS = 4_102_444_800_000
_TICK_S = 0.05


def paced(log: Log, stream: Stream, file: Path, speed: float) -> int:
    """Append every line when its event time comes, `speed` times faster than it happened; 0 for at once. Answers how many."""
    if speed == 0:
        return copy_file(log, stream.name, file, wall_ms())
    appended, begin_s, first_ms = 0, time.monotonic(), None
    with file.open(encoding="utf-8") as opened:
        lines = (line.strip() for line in opened if line.strip())
        while batch := list(islice(lines, 200)):
            for line, event_ms in _timed(batch, stream):
                first_ms = event_ms if first_ms is None else first_ms
                due_s = begin_s + (event_ms - first_ms) / 1_000 / speed
                if due_s > time.monotonic() + _TICK_S:
                    time.sleep(due_s - time.monotonic())
                log.append([Entry(stream.name, line)], wall_ms())
                appended += 1
    return appended


def _timed(lines: list[str], stream: Stream) -> Iterator[tuple[str, int]]:
    """Each line with its event time; one that cannot be read goes with the line before it, for the engine to judge."""
    last_ms = 0
    for line in lines:
        with suppress(EventError):
            last_ms = parse_event(line, stream, _FAR_AHEAD_MS).event_time_ms
        yield line, last_ms
