"""Backfill: fill a view's tiles from the lake, as if it had been there from the start."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import orjson
import pyarrow as pa

from tidemill.events import EventBatch, parse_event
from tidemill.features import View
from tidemill.stores.lake import EVENT_TIME, KNOWN_AT, OFFSET, Lake
from tidemill.stores.state import Applied, SqlState


def backfill_view(state: SqlState, lake: Lake, view: View) -> int:
    """Replace a view's tiles by those of all events still within its retention; answers how many events.

    It reads the lake and what has not reached it yet, and writes in one transaction at one position, so live events that wait
    meanwhile are applied after it, each once.
    """
    with state.writing() as (cursor, known_at_ms):
        waiting = [event for event in state.for_lake(1_000_000, cursor) if event.stream == view.stream.name]
        held = lake.held(view.stream.name)
        events = _from_lake(lake, view, known_at_ms - view.retention_ms, held) + [event for event in waiting if event.offset > held]
        state.tiles.refill(cursor, view.name, _batch(view, events) if events else None)
    return len(events)


def _from_lake(lake: Lake, view: View, since_ms: int, held: int) -> list[Applied]:
    """Up to `held` only: a writer may append more meanwhile, and those events still count as waiting."""
    with duckdb.connect() as connection:
        connection.register("events", lake.dataset(view.stream.name))
        query = f'select * from events where "{EVENT_TIME}" >= $since_ms and "{OFFSET}" <= $held order by "{OFFSET}"'
        table = connection.sql(query, params={"since_ms": since_ms, "held": held}).to_arrow_table()
    names = list(view.stream.kinds)
    return [_applied(view.stream.name, row, names) for row in _rows(table)]


def _rows(table: pa.Table) -> list[dict[str, object]]:
    return table.to_pylist()  # type: ignore[no-any-return]  # pyarrow has no types


def _applied(stream: str, row: dict[str, object], names: Sequence[str]) -> Applied:
    payload = orjson.dumps({name: row[name] for name in names}).decode()
    return Applied(int(str(row[OFFSET])), stream, int(str(row[KNOWN_AT])), payload)


def _batch(view: View, events: Sequence[Applied]) -> EventBatch:
    return EventBatch(
        stream=view.stream,
        events=[parse_event(event.payload, view.stream, event.known_at_ms) for event in events],
        offsets=np.array([event.offset for event in events], dtype=np.int64),
        known_at_ms=np.array([event.known_at_ms for event in events], dtype=np.int64),
        payloads=[event.payload for event in events],
    )
