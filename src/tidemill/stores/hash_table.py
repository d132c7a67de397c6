"""A hash table in two files: rows of float64 by a 128-bit digest, found, claimed, merged and put many at a time.

```
 digest (a, b) ──► slot = low bits of a      index │ high bits of a, row │ empty │ ... │   8 bytes a slot, half full at most
                                                          │
                                             rows  │ a │ b │ width float64 │   one after another, in the order they were claimed
```
The search goes from the slot on until it finds the digest or an empty slot. Rows lie close together, so that new ones touch few
pages; the index alone is scattered. Both files are mapped: processes share them, and the system keeps in memory what is in use, and
no more. A full disk would kill whoever writes to them, so `reserve` takes the room first: of the index at once, and of the rows, whose
file is made for many, as they come. Nothing is deleted: a table is dropped as a whole. Who may write when is said by
`tidemill.stores.table_files`.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np

from tidemill.kernels import STATE, Flags, Floats, Ints, Tags, claim_rows, enter_rows, find_rows, merge_rows, put_rows
from tidemill.stores.full_disk import reserve

_HEADER_BYTES = 64
_MIN_ROWS = 128
_SLOTS_A_ROW = 2
_PIECE_BYTES = 1 << 20


class HashTable:
    """One table.

    Args:
        index: the file of the index.
        rows: the file of the rows.
        width: float64 in a row.
    """

    def __init__(self, index: Path, rows: Path, width: int) -> None:
        self.index_path = index
        self.rows_path = rows
        self.width = width
        slots, cells = _mapped(index), _mapped(rows)
        self.index: Tags = np.frombuffer(slots, dtype=np.uint64)
        self._used: Ints = np.frombuffer(cells, dtype=np.int64, count=1)
        shape = (self.capacity, STATE + width)
        self.tags: Tags = np.frombuffer(cells, dtype=np.uint64, count=shape[0] * shape[1], offset=_HEADER_BYTES).reshape(shape)
        self.cells: Floats = self.tags.view(np.float64)
        self._reserved = 0  # bytes of the rows' file

    @staticmethod
    def create(index: Path, rows: Path, width: int, capacity: int) -> HashTable:
        """An empty table of `capacity` rows, a power of two; `reserve` takes the room for what is written to it."""
        for path, n_bytes in ((index, _index_bytes(capacity)), (rows, _rows_bytes(width, capacity))):
            path.unlink(missing_ok=True)
            _lengthen(path, n_bytes)
        return HashTable(index, rows, width)

    def extend(self, index: Path, capacity: int) -> HashTable:
        """The same rows with more of them to come, `capacity` together, a power of two; their index is new and empty."""
        index.unlink(missing_ok=True)
        _lengthen(index, _index_bytes(capacity))
        _lengthen(self.rows_path, _rows_bytes(self.width, capacity))
        return HashTable(index, self.rows_path, self.width)

    def cut_back(self) -> None:
        """Take back what `extend` did to the rows' file."""
        os.truncate(self.rows_path, _rows_bytes(self.width, self.capacity))

    def reserve(self, more: int) -> None:
        """Take the room on the disk for the index, the rows and `more` of them, so that writing finds it; only within `TableFiles.writing`.

        What another process has taken, or one from before, is taken once more, which changes nothing.

        Raises:
            OSError: the disk has no room for them.
        """
        n_bytes = _rows_bytes(self.width, self.used + more)
        if n_bytes <= self._reserved:
            return
        n_bytes = min(-(-n_bytes // _PIECE_BYTES) * _PIECE_BYTES, _rows_bytes(self.width, self.capacity))
        if not self._reserved:
            reserve(self.index_path, 0, _index_bytes(self.capacity))
        reserve(self.rows_path, self._reserved, n_bytes)
        self._reserved = n_bytes

    @property
    def capacity(self) -> int:
        """How many rows it has room for."""
        return len(self.index) // _SLOTS_A_ROW

    @property
    def used(self) -> int:
        """How many rows are taken."""
        return int(self._used[0])

    def has_room(self, more: int) -> bool:
        """Whether `more` rows can be claimed."""
        return self.used + more <= self.capacity

    def find(self, a: Tags, b: Tags) -> Ints:
        """The rows of n digests; -1 for one that is not there."""
        return find_rows(self.index, self.tags, a, b)

    def states(self, rows: Ints) -> Floats:
        """(n, width) what n rows hold."""
        return self.cells[rows, STATE:]

    def claim(self, a: Tags, b: Tags) -> tuple[Ints, Flags]:
        """The rows of n distinct digests, and which of them were not there: those get a row that says nothing until `put`.

        Readers may read meanwhile: they find no row whose second tag is still 0. A row that was claimed and never put, because a
        process died in between, is lost room.
        """
        return claim_rows(self.index, self.tags, self._used, a, b)

    def merge_into(self, states: Floats, rows: Ints, fresh: Flags, merges: Ints) -> None:
        """Merge what claimed rows hold into (n, width) states, which are changed in place."""
        merge_rows(merges, self.cells, rows, fresh, states)

    def put(self, rows: Ints, b: Tags, states: Floats) -> None:
        """Fill n claimed rows: their second tags, and (n, width) float64."""
        put_rows(self.tags, self.cells, rows, b, states)

    def copy_index(self, other: HashTable) -> None:
        """Enter every row into the empty index of a table that shares the rows."""
        enter_rows(other.index, self.tags, self.used)


def capacity_for(n_rows: int) -> int:
    """The room to give n rows: a power of two.

    >>> capacity_for(1000)
    1024
    """
    return 1 << (max(_MIN_ROWS, n_rows) - 1).bit_length()


def _mapped(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def _index_bytes(capacity: int) -> int:
    return 8 * _SLOTS_A_ROW * capacity


def _rows_bytes(width: int, n_rows: int) -> int:
    return _HEADER_BYTES + 8 * (STATE + width) * n_rows


def _lengthen(path: Path, n_bytes: int) -> None:
    with path.open("ab") as file:
        file.truncate(n_bytes)
