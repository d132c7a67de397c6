"""The lake: every applied event for good, one Delta table a stream, each event exactly once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from tidemill.errors import ConflictError, NotReadyError
from tidemill.events import Stream, parse_event
from tidemill.stores.state import Applied, SqlState

_APP = "tidemill"
_ARROW: dict[type, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    str: pa.string(),
    datetime: pa.timestamp("us", tz="UTC"),
}
OFFSET = "_offset"
KNOWN_AT = "_known_at_ms"
EVENT_TIME = "_event_time_ms"
EVENT_ID = "_event_id"


def lake_schema(stream: Stream) -> pa.Schema:
    """The columns of a stream's table: its fields, with offset, `known_at`, event time and id before them."""
    own = [pa.field(OFFSET, pa.int64()), pa.field(KNOWN_AT, pa.int64()), pa.field(EVENT_TIME, pa.int64()), pa.field(EVENT_ID, pa.string())]
    return pa.schema(own + [pa.field(name, _ARROW[python_type]) for name, python_type in stream.python_types.items()])


class Lake:
    """The history of all streams in one folder.

    An append carries the transaction version of its last offset. Delta accepts a version twice, so the check and the write go
    through one table handle: a second writer's handle is stale and fails.
    """

    def __init__(self, folder: Path, streams: Sequence[Stream]) -> None:
        self._folder = folder
        self._streams = {stream.name: stream for stream in streams}

    def append(self, stream: str, events: Sequence[Applied]) -> None:
        """Append applied events in offset order; those it already holds are left out.

        Raises:
            ConflictError: another writer appended at the same moment; try again.
        """
        table = self._open(stream)
        held = table.transaction_version(_APP) or 0
        fresh = [event for event in events if event.offset > held]
        if not fresh:
            return
        properties = CommitProperties(app_transactions=[Transaction(_APP, fresh[-1].offset)])
        try:
            write_deltalake(table, self._table(self._streams[stream], fresh), mode="append", commit_properties=properties)
        except CommitFailedError as error:
            raise ConflictError(f"another writer appended to the lake's {stream!r} at the same moment; try again") from error

    def dataset(self, stream: str) -> ds.Dataset:
        """The events of a stream as an Arrow dataset that DuckDB can scan; empty when there are none."""
        return self._open(stream).to_pyarrow_dataset()

    def version(self, stream: str) -> int:
        """The Delta version of a stream's table."""
        return self._open(stream).version()

    def held(self, stream: str) -> int:
        """The log offset of the last event it holds; 0 for none."""
        return self._open(stream).transaction_version(_APP) or 0

    def path(self, stream: str) -> Path:
        """Where a stream's table lies."""
        return self._folder / stream

    def _open(self, stream: str) -> DeltaTable:
        path = self.path(stream)
        try:
            return DeltaTable(path)
        except TableNotFoundError:
            path.mkdir(parents=True, exist_ok=True)
            with suppress(CommitFailedError):  # another handle has made it meanwhile, which `mode="ignore"` does not always see
                DeltaTable.create(path, schema=lake_schema(self._streams[stream]), mode="ignore")
            return DeltaTable(path)

    def _table(self, stream: Stream, events: Sequence[Applied]) -> pa.Table:
        parsed = [parse_event(event.payload, stream, event.known_at_ms) for event in events]
        columns: dict[str, list[Any]] = {
            OFFSET: [event.offset for event in events],
            KNOWN_AT: [event.known_at_ms for event in events],
            EVENT_TIME: [event.event_time_ms for event in parsed],
            EVENT_ID: [event.event_id for event in parsed],
        }
        columns |= {name: [getattr(event.fields, name) for event in parsed] for name in stream.kinds}
        return pa.table(columns, schema=lake_schema(stream))


class LakeWriter:
    """Moves applied events from the state to the lake, in time or when enough wait.

    Killed anywhere, it repeats nothing and skips nothing: events leave the state only once the lake holds them.
    """

    def __init__(self, state: SqlState, lake: Lake, every_s: float, every_events: int) -> None:
        self._state = state
        self._lake = lake
        self._every_s = every_s
        self._every_events = every_events
        self._last_s = time.monotonic()

    def step(self) -> int:
        """Flush when it is due; answers how many events it moved."""
        if time.monotonic() - self._last_s < self._every_s and self._state.waiting_for_lake(self._every_events) < self._every_events:
            return 0
        return self.flush()

    def flush(self) -> int:
        """Move everything that waits; answers how many events."""
        moved = 0
        while events := self._state.for_lake(self._every_events):
            by_stream: dict[str, list[Applied]] = {}
            for event in events:
                by_stream.setdefault(event.stream, []).append(event)
            for stream, some in by_stream.items():
                self._lake.append(stream, some)
            self._state.in_lake(events[-1].offset)
            moved += len(events)
        self._last_s = time.monotonic()
        return moved


def wait_for_lake(state: SqlState, timeout_s: float = 60.0, every_s: float = 0.1) -> None:
    """Wait until the lake holds everything that is applied now.

    Raises:
        NotReadyError: it does not by then; the engine that writes it may be down.
    """
    last = max((event.offset for event in state.for_lake(1_000_000)), default=0)
    deadline_s = time.monotonic() + timeout_s
    while (waiting := state.for_lake(1)) and waiting[0].offset <= last:
        if time.monotonic() > deadline_s:
            raise NotReadyError(f"the lake is still behind after {timeout_s:.0f} s; is the engine running? Start it with `tidemill work`")
        time.sleep(every_s)
