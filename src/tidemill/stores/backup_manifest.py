"""What a backup holds: `manifest.json` in its folder, and the check of the folder against it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tidemill.errors import InputError
from tidemill.stores.durable_copies import Contents, Tell, contents_of, is_database
from tidemill.stores.lake_snapshot import lake_snapshots
from tidemill.streams import Position

FORMAT = 1
_NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What is in a backup, and where the system stood.

    Args:
        format: of the backup; 1.
        tidemill: the version that wrote it.
        made_at: wall time, ISO 8601 in UTC.
        position: token of the position that state and books stand at.
        lake_position: token of how far the lake had come.
        log_end: the log's last offset; what lies after the position is applied when the engine goes on.
        known_at_ms: stream time at the position.
        files: by path within the folder, what each file holds.
        left_out: what the home had that can be made anew, and is not in the backup.
    """

    format: int
    tidemill: str
    made_at: str
    position: str
    lake_position: str
    log_end: int
    known_at_ms: int
    files: Mapping[str, Contents]
    left_out: tuple[str, ...]

    @property
    def n_bytes(self) -> int:
        """The size of all its files."""
        return sum(held.size for held in self.files.values())

    @property
    def offset(self) -> int:
        """The last log offset that the state has taken."""
        return last_offset(self.position)

    def write(self, folder: Path) -> None:
        """Write it into the folder of the backup, with a digest of itself."""
        (folder / _NAME).write_bytes(_text(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a backup.

        Raises:
            InputError: there is none, it was changed, or a later version of tidemill wrote it.
        """
        try:
            written = (folder / _NAME).read_bytes()
            found = json.loads(written)
            found.pop("digest")
            files = {name: Contents(**held) for name, held in found.pop("files").items()}
            manifest = cls(**found | {"files": files, "left_out": tuple(found["left_out"])})
        except FileNotFoundError as error:
            raise InputError(f"there is no {_NAME}, so this is no backup of tidemill", where=str(folder)) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(_unreadable(folder), where=str(folder / _NAME)) from error
        if written != _text(asdict(manifest)):
            raise InputError("it was changed after it was written, so this backup cannot be trusted", where=str(folder / _NAME))
        if manifest.format > FORMAT:
            raise InputError(_unreadable(folder), where=str(folder / _NAME))
        return manifest


def verify_backup(folder: Path, tell: Tell) -> Manifest:
    """Check every byte of a backup, each database, and that log, state and lake belong together.

    Args:
        folder: of the backup.
        tell: told how many more bytes were read.

    Raises:
        InputError: what is wrong with which file.
    """
    manifest = Manifest.read(folder)
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {_NAME}
    for name in sorted(there ^ set(manifest.files)):
        said = "is there and was not written by the backup" if name in there else "is missing"
        raise InputError(f"{said}; this backup cannot be trusted", where=str(folder / name))
    for name, held in manifest.files.items():
        if contents_of(folder / name, tell) != held:
            raise InputError("it holds other bytes than were written; this backup cannot be trusted", where=str(folder / name))
        if is_database(folder / name):
            _check_database(folder / name)
    _check_positions(folder, manifest)
    return manifest


def last_offset(token: str) -> int:
    """The last log offset that a position has taken; the streams of one log share its offsets."""
    offsets = Position.from_token(token).offsets
    return max((offset for parts in offsets.values() for offset in parts.values()), default=0)


def _check_database(path: Path) -> None:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as connection:
        try:
            (said,) = connection.execute("pragma quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            said = str(error)
    if said != "ok":
        raise InputError(f"SQLite finds it damaged: {said}", where=str(path))


def _check_positions(folder: Path, manifest: Manifest) -> None:
    """The log must reach as far as the state, the state as far as the lake, and the lake as far as the state believes."""
    if manifest.offset > manifest.log_end:
        raise InputError(f"the state stands at {manifest.offset}, beyond the log's end {manifest.log_end}", where=str(folder))
    for table in lake_snapshots(folder / "lake"):
        missing = [name for name in table.files if not (table.folder / name).is_file()]
        if missing or table.held > manifest.offset:
            said = f"lacks {missing[0]}" if missing else f"holds events up to {table.held}, the state took those up to {manifest.offset}"
            raise InputError(f"the table {said}", where=str(table.folder))


def _text(manifest: dict[str, Any]) -> bytes:
    body = json.dumps(manifest, indent=1, sort_keys=True)
    return json.dumps({**manifest, "digest": hashlib.sha256(body.encode()).hexdigest()}, indent=1, sort_keys=True).encode()


def _unreadable(folder: Path) -> str:
    """Why a manifest cannot be read: a later format, or damage."""
    try:
        wrote = json.loads((folder / _NAME).read_bytes())
        if wrote["format"] > FORMAT:
            return f"tidemill {wrote['tidemill']} wrote it; restore it with that version or a later one"
    except (ValueError, KeyError, TypeError):
        pass
    return "it is damaged, so this backup cannot be trusted"
