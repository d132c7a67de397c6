"""Deleting events from a stream's table so that no byte of them is left: neither in data files nor in its log, which holds extremes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from tidemill.errors import ConflictError

_DIGITS = 20  # a file of the log begins with its version
_DAYS = 16  # at once


@dataclass(frozen=True)
class Columns:
    """What a table calls its days and offsets."""

    day: str
    offset: str


def forget_in_lake(path: Path, columns: Columns, offsets: Sequence[int]) -> None:
    """Delete the events at these offsets, and every file that ever held them; nobody may write or compact meanwhile.

    Killed anywhere, the table can be read, and doing it again completes it. Earlier versions of the table can no longer be read.

    Args:
        path: of the table.
        columns: its own.
        offsets: of the events; those that it does not hold are left out.

    Raises:
        ConflictError: something else changed the table meanwhile; try again.
    """
    try:
        _rewrite_days(path, columns, offsets)
        DeltaTable(path).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)
        table = DeltaTable(path)
        schema = pa.schema(table.schema().to_arrow())
        nothing = pa.table({field.name: pa.array([], field.type) for field in schema}, schema=schema)
        write_deltalake(table, nothing, mode="append")  # a commit that says nothing of any event
    except CommitFailedError as error:
        raise ConflictError(f"{path} was changed at the same moment; try again") from error
    _drop_history(path)


def _rewrite_days(path: Path, columns: Columns, offsets: Sequence[int]) -> None:
    """Write the days that hold these events anew without them.

    Delta's own `delete` would do, but leaves texts of a type (`string_view`) that Arrow cannot compare with the texts of other files.
    """
    gone = ds.field(columns.offset).isin(pa.array(sorted(offsets), pa.int64()))
    found = _dataset(path).to_table(columns=[columns.day], filter=gone).column(0).unique().to_pylist()
    partitioned = columns.day in DeltaTable(path).metadata().partition_columns
    for begin in range(0, len(found), _DAYS if partitioned else len(found)):
        days = found[begin : begin + _DAYS]
        kept, predicate = ~gone, None  # a table of before there were days is one heap
        if partitioned:
            kept &= ds.field(columns.day).isin(pa.array(days, pa.date32()))
            predicate = " or ".join(f"{columns.day} = '{day}'" for day in days)
        rows = _dataset(path).scanner(filter=kept).to_reader()
        write_deltalake(DeltaTable(path), rows, mode="overwrite", predicate=predicate)


def _dataset(path: Path) -> ds.Dataset:
    return DeltaTable(path).to_pyarrow_dataset(filesystem=SubTreeFileSystem(str(path), LocalFileSystem()))


def _drop_history(path: Path) -> None:
    """Leave the log with one checkpoint and the commit it is of: earlier ones hold the extremes of the files of their time.

    The checkpoint holds how far the table has come in each partition of the log.
    """
    table = DeltaTable(path)
    table.create_checkpoint()
    for file in (path / "_delta_log").iterdir():
        if file.name[:_DIGITS].isdigit() and int(file.name[:_DIGITS]) < table.version():
            file.unlink()
