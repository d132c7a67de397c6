"""The tables of one folder, shared by processes: who may write when, one position for all of them, and a journal for kill -9.

```
 writer.lock   held through a whole change, so there is one writer at a time
 readers.lock  shared by readers; held alone for the moment in which rows change, so a reading is of one position
 header        format, version of the catalog, number of the last change, position, whether rows are changing right now
 catalog.json  which tables there are
 journal       the rows of the change at hand: written before the database commits, applied to the tables after it
```
A change is: claim slots (which says nothing yet), write the journal, commit the database with the change's number, apply the rows.
Killed before the commit, it never was; killed after it, whoever comes next applies the journal. A machine that went down may have
lost pages of any of these files: then the tables are not trusted, but built anew.
"""

from __future__ import annotations

import fcntl
import mmap
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tidemill.errors import ConflictError, UnavailableError
from tidemill.kernels import Ints
from tidemill.stores.change_journal import Journal, OpenFile, Write
from tidemill.stores.file_lock import file_lock, share_within, try_lock
from tidemill.stores.full_disk import told_of_room, write_whole
from tidemill.stores.hash_table import HashTable, capacity_for
from tidemill.stores.table_catalog import Entry, is_of_this_boot, read_catalog, write_catalog

_HEADER_BYTES = 1 << 18
_NUMBERS, _TEXT_AT = 8, 4_096
_CATALOG, _CHANGE, _CHANGING, _KNOWN_AT, _TOKEN_BYTES = 1, 2, 3, 4, 5
_GROWTH = 4
PATIENCE_S = 30.0  # with a writer that lives; how long it takes is the machine's affair


class TableFiles:
    """The tables of a folder, which is made when missing.

    Args:
        folder: where the files lie; on a local disk, since they are mapped and locked.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if not self._has_header():
            with self.writing():
                if not self._has_header():
                    self._start_anew()
        with (folder / "header").open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _HEADER_BYTES)
        self._numbers: Ints = np.frombuffer(self._memory, dtype=np.int64, count=_NUMBERS)
        self._journal = Journal(folder / "journal")
        self._tables: tuple[int, dict[str, HashTable]] = (-1, {})
        self._trusted = False
        self._own = threading.local()
        self._loading = threading.Lock()

    @property
    def change(self) -> int:
        """The number of the last change that was applied."""
        return int(self._numbers[_CHANGE])

    @property
    def catalog(self) -> int:
        """A number that rises whenever tables come, grow or go."""
        return int(self._numbers[_CATALOG])

    def position(self) -> tuple[str, int]:
        """The token and `known_at` of the position that the tables stand at; read it within `reading`."""
        n_bytes = int(self._numbers[_TOKEN_BYTES])
        return self._memory[_TEXT_AT : _TEXT_AT + n_bytes].decode() or "{}", int(self._numbers[_KNOWN_AT])

    @contextmanager
    def reading(self) -> Iterator[dict[str, HashTable]]:
        """The tables as they stand at one position.

        Raises:
            ConflictError: a writer died while rows changed; whoever writes next sets it right.
            UnavailableError: a writer stands still while rows change.
        """
        descriptor = self._descriptor()
        if not share_within(descriptor, PATIENCE_S):
            raise UnavailableError(f"an engine has been changing the tiles for {PATIENCE_S:.0f} s; has somebody stopped it?")
        try:
            if self._numbers[_CHANGING]:
                raise ConflictError("an engine died while it changed the tiles; start it again, it sets them right at once")
            yield self.tables()
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def is_waited_for(self) -> bool:
        """Whether who reads now has to wait: rows are put just now, or whoever puts them stands still. Not to be asked within `reading`."""
        descriptor = self._descriptor()
        if not share_within(descriptor, 0.0):
            return True
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The right to change the tables; waits for whoever has it.

        Raises:
            UnavailableError: the disk has no room for what is written within; what was there before is left as it was.
        """
        with told_of_room(self.folder), file_lock(self.folder / "writer.lock"):
            yield

    @contextmanager
    def writing_at_once(self) -> Iterator[bool]:
        """The right to change the tables where nobody has it; answers whether that is so."""
        with told_of_room(self.folder), try_lock(self.folder / "writer.lock", alone=True) as held:
            yield held

    @contextmanager
    def standing_still(self) -> Iterator[bool]:
        """Whether nobody has the right to change the tables; if so, nobody gets it before the block ends."""
        with try_lock(self.folder / "writer.lock", alone=False) as held:
            yield held

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No reader reads meanwhile; only within `writing`."""
        descriptor = self._descriptor()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def tables(self) -> dict[str, HashTable]:
        """By name, every table; the catalog is read again when it has changed. Only within `reading` or `writing`."""
        version, tables = self._tables
        if version == self.catalog:
            return tables
        with self._loading:
            version = self.catalog
            opened = {table.index_path.name: table for table in self._tables[1].values()}
            tables = {
                name: opened.get(entry.index) or HashTable(self.folder / entry.index, self.folder / entry.rows, entry.width)
                for name, entry in read_catalog(self.folder).items()
            }
            self._tables = (version, tables)
        return tables

    def ensure(self, name: str, width: int, more: int, like: str | None = None) -> HashTable:
        """The table of that name with room for `more` rows, made or grown when need be; only within `writing`.

        A new table is made as large as the table `like` has become.
        """
        tables = self.tables()
        table = tables.get(name)
        if table is None:
            table = self._make(name, width, more, capacity_for(max(tables[like].used if like in tables else 0, 2 * more)))
        elif not table.has_room(more):
            table = self._make(name, width, more, capacity_for(_GROWTH * table.used + more), table)
        table.reserve(more)
        return table

    def drop(self, names: Iterable[str]) -> None:
        """Forget tables and give their space back; only within `writing`. Readers that read them still may go on."""
        gone = set(names)
        if gone:
            self._change_catalog({name: entry for name, entry in read_catalog(self.folder).items() if name not in gone})

    def announce(self) -> None:
        """Let every reader look again at what there is; only within `writing`."""
        self._change_catalog(read_catalog(self.folder))

    def prepare(self, change: int, token: str, known_at_ms: int, writes: Sequence[Write]) -> None:
        """Write the journal of a change: it will be applied if, and only if, the database commits its number."""
        self._journal.write(change, token, known_at_ms, writes)

    def apply(self, change: int, token: str, known_at_ms: int, writes: Sequence[Write]) -> None:
        """Put the rows of a committed change into the tables, and move the position with them."""
        text = token.encode()
        if len(text) > _HEADER_BYTES - _TEXT_AT:
            raise ConflictError(f"a position of {len(text)} bytes; the most is {_HEADER_BYTES - _TEXT_AT}, so use fewer partitions")
        with self.alone():
            self._numbers[_CHANGING] = 1
            for write in writes:
                write.table.put(write.rows, write.tags, write.states)
            self._memory[_TEXT_AT : _TEXT_AT + len(text)] = text
            self._numbers[_TOKEN_BYTES] = len(text)
            self._numbers[_KNOWN_AT] = known_at_ms
            self._numbers[_CHANGE] = change
            self._numbers[_CHANGING] = 0

    def undo(self, writes: Sequence[Write]) -> None:
        """Give up a change that the database refused; only within `writing`."""
        with self.alone():
            for write in (write.undone() for write in writes):
                write.table.put(write.rows, write.tags, write.states)

    def recover(self, committed: int) -> bool:
        """Apply the journal where the database has committed it and the tables have not; only within `writing`.

        Returns:
            Whether the tables stand at that change now. If not, they belong to another database, or were torn: build them anew.
        """
        if self.change == committed and not self._numbers[_CHANGING]:
            return self._is_trusted()
        if self.change not in (committed, committed - 1) or not self._is_trusted():
            return False
        found = self._journal.read(committed, self.tables())
        if found is None:
            return False
        for write in found[-1]:
            write.table.reserve(0)  # whoever claimed its rows may have been a tidemill that took no space ahead
        self.apply(committed, *found)
        return True

    def reset(self, change: int, token: str, known_at_ms: int) -> None:
        """Drop every table and stand at a position that nothing is known of yet; only within `writing`."""
        self._change_catalog({})
        self._trusted = True
        self.apply(change, token, known_at_ms, ())

    def close(self) -> None:
        """Let go of the files; what is mapped is released with the last array that looks at it."""
        self._journal.close()

    def _is_trusted(self) -> bool:
        """Whether the files are what this machine wrote since it started, so that only processes can have died under them."""
        if not self._trusted:
            self._trusted = is_of_this_boot(self.folder)
        return self._trusted

    def _make(self, name: str, width: int, more: int, capacity: int, old: HashTable | None = None) -> HashTable:
        """A table of that capacity, with the rows of a smaller one if it is to follow one; nothing is left of one that finds no room."""
        number = self.catalog + 1
        index = self.folder / f"{name}.{number}.index"
        rows = self.folder / f"{name}.{number}.rows" if old is None else old.rows_path
        try:
            made = HashTable.create(index, rows, width, capacity) if old is None else old.extend(index, capacity)
            made.reserve(more)
            if old is not None:
                old.copy_index(made)
            self._change_catalog({**read_catalog(self.folder), name: Entry(index.name, rows.name, width)})
        except OSError:
            if name not in (entries := read_catalog(self.folder)) or entries[name].index != index.name:  # nobody has heard of it
                index.unlink(missing_ok=True)
                if old is None:
                    rows.unlink(missing_ok=True)
                else:
                    old.cut_back()
            raise
        return self.tables()[name]

    def _change_catalog(self, entries: Mapping[str, Entry]) -> None:
        with self.alone():
            self._numbers[_CATALOG] += 1  # first: a number that names files twice would have them taken for those of before
            write_catalog(self.folder, entries)
            self.tables()
        kept = {name for entry in entries.values() for name in (entry.index, entry.rows)}
        for path in (*self.folder.glob("*.index"), *self.folder.glob("*.rows")):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _has_header(self) -> bool:
        header = self.folder / "header"
        return header.exists() and header.stat().st_size == _HEADER_BYTES

    def _start_anew(self) -> None:
        write_catalog(self.folder, {})
        (self.folder / "journal").unlink(missing_ok=True)
        write_whole(self.folder / "header", bytes(_HEADER_BYTES))

    def _descriptor(self) -> int:
        """A lock belongs to an open file, so every thread opens its own."""
        if not hasattr(self._own, "lock"):
            self._own.lock = OpenFile(self.folder / "readers.lock")
        descriptor: int = self._own.lock.descriptor
        return descriptor
