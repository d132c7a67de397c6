"""Copies that are hashed while they are written and are on the disk when they are done: of files, and of databases in use."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tidemill.stores.sqlite import BUSY_S

_CHUNK = 1 << 20
_PAGES = 2_048  # of a database at a time
_MAGIC = b"SQLite format 3\0"

Tell = Callable[[int], None]  # how many more bytes are done


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds: its size in bytes, and the digest of them."""

    size: int
    sha256: str


def contents_of(path: Path, tell: Tell) -> Contents:
    """Read a file through."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            tell(len(chunk))
    return Contents(size, digest.hexdigest())


def copy_durably(source: Path, target: Path, tell: Tell) -> Contents:
    """Copy a file; what is appended meanwhile may be left out."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file, target.open("xb") as copy:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
            size += len(chunk)
            tell(len(chunk))
        copy.flush()
        os.fsync(copy.fileno())
    return Contents(size, digest.hexdigest())


def is_database(path: Path) -> bool:
    """Whether a file is one of SQLite's."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


class Snapshot:
    """A database as it is at one moment, to be read and copied while others write to it.

    The transaction that it holds keeps a copy in pages of one moment: SQLite would begin the copy anew whenever another process writes.
    In WAL mode nobody waits for it; a writer to a database in another mode does, so copy such a one at once.

    Args:
        path: of the database.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
        try:
            self._connection.execute("begin")
            self._connection.execute("select count(*) from sqlite_master").fetchone()  # the snapshot is of the first read
        except BaseException:
            self._connection.close()
            raise

    @property
    def n_bytes(self) -> int:
        """How large its copy will be."""
        return int(self.row("select page_size * page_count from pragma_page_size, pragma_page_count")[0])

    @property
    def blocks_writers(self) -> bool:
        """Whether a writer must wait until it is closed."""
        return bool(self.row("select journal_mode != 'wal' from pragma_journal_mode")[0])

    def row(self, query: str) -> tuple[int | str, ...]:
        """The first row that a query finds."""
        found: tuple[int | str, ...] = self._connection.execute(query).fetchone()
        return found

    def copy(self, target: Path, tell: Tell) -> Contents:
        """Write it to a new file."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            copy.execute("pragma synchronous = off")  # made durable below, as a whole
            page_bytes, left = int(self.row("select page_size from pragma_page_size")[0]), [-1]

            def progress(_status: int, remaining: int, total: int) -> None:
                tell((left[0] - remaining if left[0] >= 0 else total - remaining) * page_bytes)
                left[0] = remaining

            self._connection.backup(copy, pages=_PAGES, progress=progress)
        with target.open("rb") as file:
            os.fsync(file.fileno())
        return contents_of(target, lambda _: None)

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()
