"""Which tables a folder holds, and in which files: one small file, put in place whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tidemill.stores.boot import boot_id
from tidemill.stores.full_disk import write_whole

_FORMAT = 3
_NAME = "catalog.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One table: the names of its files, and how wide its rows are."""

    index: str
    rows: str
    width: int


def read_catalog(folder: Path) -> dict[str, Entry]:
    """The tables by name."""
    return {name: Entry(**entry) for name, entry in _read(folder)["tables"].items()}


def write_catalog(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Put it in the place of the one before.

    Raises:
        OSError: the disk has no room for it; the one before stays.
    """
    tables = {name: asdict(entry) for name, entry in entries.items()}
    write_whole(folder / _NAME, json.dumps({"format": _FORMAT, "boot": boot_id(), "tables": tables}).encode())


def is_of_this_boot(folder: Path) -> bool:
    """Whether this machine wrote it since it started, and in the form of today."""
    found = _read(folder)
    return bool(found["format"] == _FORMAT and found["boot"] == boot_id())


def _read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / _NAME).read_bytes())
    return found
