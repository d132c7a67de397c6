"""How DuckDB reads a stream's table: its fields as expressions want them, with times as milliseconds."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.events import Stream
from tidemill.stores import EVENT_TIME, KNOWN_AT, OFFSET


def relation(stream: Stream, table: str, fields: Iterable[str]) -> str:
    """A sub-select over `table`: the named fields, times in ms, with `offset_`, `known_at_ms` and `event_time_ms`.

    >>> from pydantic import BaseModel
    >>> class Tap(BaseModel):
    ...     tap_id: str
    ...     at: int
    >>> relation(Stream("taps", schema=Tap, event_time="at", event_id="tap_id"), "events", ["at"])
    '(select "_offset" as offset_, "_known_at_ms" as known_at_ms, "_event_time_ms" as event_time_ms, "at" from events)'
    """
    columns = [f'"{OFFSET}" as offset_', f'"{KNOWN_AT}" as known_at_ms', f'"{EVENT_TIME}" as event_time_ms']
    columns += [f'epoch_ms("{name}") as "{name}"' if stream.kinds[name] == "time" else f'"{name}"' for name in sorted(set(fields))]
    return f"(select {', '.join(columns)} from {table})"
