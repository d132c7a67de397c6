"""The journal of one change of the tables: what its rows will hold, written before the database commits it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tidemill.kernels import Flags, Floats, Ints, Tags
from tidemill.stores.hash_table import HashTable

_BODY_AT = 4_096
_PIECES = 512  # a call of the system takes 1,024 at most


@dataclass(frozen=True)
class Write:
    """What a change puts into claimed rows of a table.

    Args:
        table: which.
        rows: (n,) the rows.
        tags: (n,) their second tags.
        states: (n, width) what they will hold.
        fresh: (n,) which of them were claimed for this change.
        neutral: (width,) what says nothing.
    """

    table: HashTable
    rows: Ints
    tags: Tags
    states: Floats
    fresh: Flags
    neutral: Floats

    def undone(self) -> Write:
        """The write that makes the claimed rows say nothing, so that they are found and used when the change is tried again."""
        rows, tags = self.rows[self.fresh], self.tags[self.fresh]
        return Write(self.table, rows, tags, np.tile(self.neutral, (len(rows), 1)), np.ones(len(rows), dtype=bool), self.neutral)


class OpenFile:
    """A file open for reading and writing, closed with its holder at the latest."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT)

    def close(self) -> None:
        """Close it; closed already, nothing happens."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def __del__(self) -> None:
        self.close()


class Journal:
    """One change at a time, each over the one before.

    Args:
        path: the file; made when missing.
    """

    def __init__(self, path: Path) -> None:
        self._file = OpenFile(path)

    def write(self, change: int, token: str, known_at_ms: int, writes: Sequence[Write]) -> None:
        """Write a change down; until that is done, the journal holds none."""
        tables = [(write.table.index_path.name, len(write.rows)) for write in writes]
        text = json.dumps({"token": token, "known_at_ms": known_at_ms, "writes": tables}).encode()
        parts: list[bytes | memoryview] = [text.ljust(-(-len(text) // 8) * 8)]
        for write in writes:
            parts += [np.ascontiguousarray(part).data.cast("B") for part in (write.rows, write.tags, write.states)]
        os.pwrite(self._file.descriptor, bytes(16), 0)
        at = _BODY_AT
        for begin in range(0, len(parts), _PIECES):
            some = [part for part in parts[begin : begin + _PIECES] if len(part)]
            written = os.pwritev(self._file.descriptor, some, at)
            if written < sum(map(len, some)):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            at += written
        os.pwrite(self._file.descriptor, np.array([change, len(parts[0])], dtype=np.int64).tobytes(), 0)

    def read(self, change: int, tables: Mapping[str, HashTable]) -> tuple[str, int, list[Write]] | None:
        """The token, `known_at` and rows of a change; None where the journal does not hold it whole."""
        held, n_bytes = np.frombuffer(os.pread(self._file.descriptor, 16, 0).ljust(16, b"\0"), dtype=np.int64).tolist()
        if held != change:
            return None
        about = json.loads(os.pread(self._file.descriptor, n_bytes, _BODY_AT))
        by_index = {table.index_path.name: table for table in tables.values()}
        at, writes = _BODY_AT + n_bytes, []
        for name, n_rows in about["writes"]:
            table = by_index[name]
            numbers = bytearray(os.pread(self._file.descriptor, 8 * n_rows * (2 + table.width), at))  # kernels know one kind of arrays
            at += len(numbers)
            rows = np.frombuffer(numbers, dtype=np.int64, count=n_rows)
            tags = np.frombuffer(numbers, dtype=np.uint64, count=n_rows, offset=8 * n_rows)
            states = np.frombuffer(numbers, offset=16 * n_rows).reshape(n_rows, table.width)
            writes.append(Write(table, rows, tags, states, np.zeros(n_rows, dtype=bool), states[0]))
        return about["token"], about["known_at_ms"], writes

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
