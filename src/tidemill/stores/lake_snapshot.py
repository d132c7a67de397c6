"""A Delta table at one version: which files it is made of, so that it can be copied while others append, compact or vacuum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from tidemill.stores.lake import application

_LOG = "_delta_log"
_DIGITS = 20  # a file of the log begins with its version


@dataclass(frozen=True)
class LakeSnapshot:
    """One table.

    Args:
        folder: where it lies.
        version: of the table.
        held: the log offset of the last event in it; of an embedded log, which has one partition.
        files: of log and data, relative to `folder`; with those of the log first, as they are what a clean-up removes first.
    """

    folder: Path
    version: int
    held: int
    files: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> LakeSnapshot:
        """The table as it is now."""
        table = DeltaTable(folder)
        version = table.version()
        data = sorted(pa.table(table.get_add_actions())["path"].to_pylist())  # `file_uris` writes a space as %20, and follows links
        return cls(folder, version, table.transaction_version(application("0")) or 0, (*_log_files(folder, version), *data))


def lake_snapshots(lake: Path) -> list[LakeSnapshot]:
    """Every table of a lake as it is now."""
    return [LakeSnapshot.of(path.parent) for path in sorted(lake.glob(f"*/{_LOG}"))]


def _log_files(folder: Path, version: int) -> Iterator[str]:
    """Those of commits and checkpoints up to a version; the hint at the last checkpoint may be of a later one, and is not needed."""
    for path in sorted((folder / _LOG).iterdir()):
        digits = path.name[:_DIGITS]
        if digits.isdigit() and int(digits) <= version:
            yield f"{_LOG}/{path.name}"
