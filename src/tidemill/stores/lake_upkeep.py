"""Upkeep of a stream's table beside a live writer and readers: few large files instead of many small ones, and no old ones.

```
 append, append, ...   many small files a day ──compact──► one a day; the small ones leave the table, and stay on disk
 vacuum                removes files that left the table, or never came into it, more than `keep_hours` ago
```
A reader that opened the table before a compaction goes on with the files it knows, so keep them longer than any reader reads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from tidemill.errors import ConflictError

MIN_FILES = 4
TARGET_MB = 128
KEEP_HOURS = 48


@dataclass(frozen=True)
class Compacted:
    """How many files a compaction replaced, and by how many."""

    replaced: int
    by: int


def compact(table: DeltaTable, day: str, min_files: int, target_mb: int) -> Compacted:
    """Merge the small files of each day that has many.

    Args:
        table: of one stream.
        day: the column it is partitioned by.
        min_files: a day with fewer small files is left alone.
        target_mb: how large a file may become, MB; one of at least half of that is not small.

    Raises:
        ConflictError: something but an append changed the table at the same moment; try again.
    """
    files = pa.table(table.get_add_actions(flatten=True))
    partitioned = day in table.metadata().partition_columns
    days = files.column(f"partition.{day}").to_pylist() if partitioned else [None] * len(files)
    sizes = files.column("size_bytes").to_pylist()
    small = Counter(that for that, size in zip(days, sizes, strict=True) if size < target_mb * 500_000)
    crowded = sorted(that.isoformat() if that else "" for that, count in small.items() if count >= min_files)
    if not crowded:
        return Compacted(0, 0)
    only = [(day, "in", crowded)] if partitioned else None  # a table of before there were days is one heap
    try:
        done = table.optimize.compact(partition_filters=only, target_size=target_mb * 1_000_000)
    except CommitFailedError as error:
        raise ConflictError("the table was changed at the same moment; try again") from error
    table.create_checkpoint()  # else every reader goes through the log of all small files
    return Compacted(int(done["numFilesRemoved"]), int(done["numFilesAdded"]))


def vacuum(table: DeltaTable, keep_hours: int) -> int:
    """Remove files that left the table more than `keep_hours` ago, and what a killed writer left behind; answers how many."""
    return len(table.vacuum(retention_hours=keep_hours, dry_run=False, enforce_retention_duration=False, full=True))
