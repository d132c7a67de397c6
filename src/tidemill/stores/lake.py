"""The lake: every applied event for good, one Delta table a stream, each event exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from tidemill.clock import DAY_MS
from tidemill.errors import ConflictError
from tidemill.events import EventBatch, Stream
from tidemill.stores import lake_upkeep
from tidemill.stores.file_lock import file_lock
from tidemill.stores.full_disk import told_of_room
from tidemill.stores.lake_evolution import evolve
from tidemill.stores.lake_forget import Columns, forget_in_lake
from tidemill.streams import Position
from tidemill.streams.log_offset import Ints, offsets_of, partitions_of

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
_DAY = "_day"  # of the event time; what the files are sorted by, and no reader sees


def application(partition: str) -> str:
    """Under which name a Delta table holds how far it has come in a partition of the log."""
    return "tidemill" if partition == "0" else f"tidemill.{partition}"


def lake_schema(stream: Stream) -> pa.Schema:
    """The columns of a stream's table: its fields, with offset, `known_at`, event time and id before them."""
    own = [pa.field(OFFSET, pa.int64()), pa.field(KNOWN_AT, pa.int64()), pa.field(EVENT_TIME, pa.int64()), pa.field(EVENT_ID, pa.string())]
    return pa.schema(own + [pa.field(name, _ARROW[python_type]) for name, python_type in stream.python_types.items()])


class Lake:
    """The history of all streams in one folder.

    An append carries a transaction version for each partition of the log, its last offset. Delta accepts a version twice, so the check
    and the write go through one table handle: a second writer's handle is stale and fails.

    Files lie by day of event time. A field that a stream gains is added to its table when that is first opened; a field that it
    lost, or that has another type, is refused then.
    """

    def __init__(self, folder: Path, streams: Sequence[Stream]) -> None:
        self._folder = folder
        self._streams = {stream.name: stream for stream in streams}
        self._checked = set[str]()

    def append(self, stream: str, batch: EventBatch) -> None:
        """Append applied events, each partition's in offset order; those it already holds are left out.

        Raises:
            ConflictError: another writer appended at the same moment; try again.
            UnavailableError: the disk is full.
        """
        with told_of_room(self.path(stream)):
            self._append(stream, batch)

    def _append(self, stream: str, batch: EventBatch) -> None:
        table = self._open(stream)
        partitions = [str(number) for number in np.unique(partitions_of(batch.offsets))]
        held = Position({stream: {partition: _held(table, partition) for partition in partitions}})
        fresh = batch.rows(~held.taken(stream, batch.offsets))
        if not len(fresh):
            return
        properties = CommitProperties(app_transactions=_transactions(fresh.offsets))
        try:
            write_deltalake(table, _table(fresh), mode="append", commit_properties=properties)
        except CommitFailedError as error:
            raise ConflictError(f"another writer appended to the lake's {stream!r} at the same moment; try again") from error

    def dataset(self, stream: str) -> ds.Dataset:
        """The events of a stream as an Arrow dataset that DuckDB can scan; empty when there are none."""
        return self.read(stream)[0]

    def read(self, stream: str) -> tuple[ds.Dataset, int]:
        """The events of a stream, and the Delta version that they are of."""
        table = self._open(stream)
        files = SubTreeFileSystem(str(self.path(stream)), LocalFileSystem())
        return table.to_pyarrow_dataset(filesystem=files).replace_schema(lake_schema(self._streams[stream])), table.version()

    def version(self, stream: str) -> int:
        """The Delta version of a stream's table."""
        return self._open(stream).version()

    def held(self, stream: str, partition: str = "0") -> int:
        """The offset of the last event that it holds of a partition; 0 for none."""
        return _held(self._open(stream), partition)

    def check(self) -> None:
        """Open what there is, so that a change of a stream that its lake cannot follow is told at once.

        Raises:
            ProjectError: a field was removed, has another type, or is new and not optional.
        """
        for stream in self._streams:
            if (self.path(stream) / "_delta_log").exists():
                self._open(stream)

    def compact(self, stream: str, min_files: int = lake_upkeep.MIN_FILES, target_mb: int = lake_upkeep.TARGET_MB) -> lake_upkeep.Compacted:
        """Merge the small files of each day that has many; see `lake_upkeep.compact`. Two compactions wait for each other."""
        with file_lock(self._lock(f"{stream}.compact.lock")):  # Delta lets both through, and every event would be there twice
            return lake_upkeep.compact(self._open(stream), _DAY, min_files, target_mb)

    def vacuum(self, stream: str, keep_hours: int = lake_upkeep.KEEP_HOURS) -> int:
        """Remove files that no reader needs any more; answers how many. See `lake_upkeep.vacuum`.

        Raises:
            ValueError: `keep_hours` is below 1, so the files of a writer at work might go too.
        """
        if keep_hours < 1:
            raise ValueError(f"keep_hours={keep_hours}: keep files for an hour at least; a writer or a reader may be at work on them")
        return lake_upkeep.vacuum(self._open(stream), keep_hours)

    def forget(self, stream: str, offsets: Sequence[int]) -> None:
        """Delete the events at these log offsets with every file that ever held them; writers and compactions wait."""
        with file_lock(self.lock_path), file_lock(self._lock(f"{stream}.compact.lock")):
            forget_in_lake(self.path(stream), Columns(_DAY, OFFSET), offsets)

    def path(self, stream: str) -> Path:
        """Where a stream's table lies."""
        return self._folder / stream

    @property
    def lock_path(self) -> Path:
        """The file whose lock a writer holds."""
        return self._lock("writer.lock")

    def _lock(self, name: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / name

    def _open(self, stream: str) -> DeltaTable:
        path, schema = self.path(stream), _stored_schema(self._streams[stream])
        try:
            table = DeltaTable(path)
        except TableNotFoundError:
            path.mkdir(parents=True, exist_ok=True)
            with suppress(CommitFailedError):  # another handle has made it meanwhile, which `mode="ignore"` does not always see
                DeltaTable.create(path, schema=schema, mode="ignore", partition_by=[_DAY])
            table = DeltaTable(path)
        if stream not in self._checked:
            evolve(table, schema, self._streams[stream])
            self._checked.add(stream)
        return table


def _stored_schema(stream: Stream) -> pa.Schema:
    return lake_schema(stream).append(pa.field(_DAY, pa.date32()))


def _held(table: DeltaTable, partition: str) -> int:
    return table.transaction_version(application(partition)) or 0


def _transactions(log_offsets: Ints) -> list[Transaction]:
    """By partition, that it is held up to its last event."""
    last: dict[int, int] = dict(zip(partitions_of(log_offsets).tolist(), offsets_of(log_offsets).tolist(), strict=True))
    return [Transaction(application(str(number)), offset) for number, offset in last.items()]


def _table(batch: EventBatch) -> pa.Table:
    columns: dict[str, Any] = {
        OFFSET: batch.offsets,
        KNOWN_AT: batch.known_at_ms,
        EVENT_TIME: batch.event_time_ms,
        EVENT_ID: batch.event_ids,
        _DAY: (batch.event_time_ms // DAY_MS).astype(np.int32),
        **batch.values,
    }
    schema = _stored_schema(batch.stream)
    return pa.table([pa.array(columns[field.name], type=field.type) for field in schema], schema=schema)
