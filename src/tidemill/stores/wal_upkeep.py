"""Upkeep of SQLite's write-ahead logs: what was committed is brought from the log into the database beside the writers, not by them.

```
 writers ─► db-wal, appended ─┬─► upkeep: most of it, while they go on          a log that was brought over
                              └─►         the rest, while they wait a moment ─► whole is begun anew
```
SQLite by itself has the commit that makes the log too long copy all of it, a tenth of a second and more for which everybody waits. A copy
beside writers never takes the last of what they write, and a log of which something is left is not begun anew, so it would grow for as
long as they do not stop. So once little is left the write lock is held for that little. A reader keeps its snapshot in the log: what it
may still read is left, and the log grows until it has ended, as without the upkeep. Nothing of this is needed for what is written to be
there: a process that is killed leaves a longer log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from pathlib import Path

from tidemill.stores.again import again_and_again
from tidemill.stores.databases import Databases
from tidemill.stores.file_lock import try_lock
from tidemill.stores.sqlite_errors import naming_file

_EVERY_S = 0.25  # requests of many rows make a log too long within a second
_SHORT_BYTES = 4 << 20  # a log up to here is left alone
_MANY_PAGES = 1_000  # from here on every look copies, so that little is left when the log is begun anew
_LONG_PAGES = 3_000  # from here on that is worth a moment's waiting; with more than 4,000 every page takes longer to find
_MOST_RESTS = 16  # looks that are left out while little is written, as each look costs two fsyncs
_FEW_PAGES = 250  # are copied in a moment
_TRIES = 4  # to come to so few
_LOCK_S = 0.1  # that it waits for writers; else it comes again


class WalUpkeep:
    """Keeps the logs of databases short while others write.

    Args:
        databases: of a home; a server keeps its own log, and then there is nothing to do.
        names: of those that this process writes to.

    >>> WalUpkeep(Databases(Path("somewhere")), ["serving"]).step()
    """

    def __init__(self, databases: Databases, names: Iterable[str]) -> None:
        self._files = [_Wal(databases.path(name)) for name in names] if databases.kind == "sqlite" else []
        self._lock = databases.home / "upkeep.lock"

    def step(self) -> None:
        """Look at each log once.

        Raises:
            UnavailableError: a file cannot be read or written just now.
        """
        for file in self._files:
            file.step()

    def going(self) -> AbstractContextManager[None]:
        """Look again and again, in a thread of its own, for as long as the block runs; writers hear of a full disk by their commits."""
        return again_and_again(self._step_alone, _EVERY_S, "wal upkeep") if self._files else nullcontext()

    def _step_alone(self) -> None:
        """Look, unless another process of this home does just now: two would keep writers waiting twice."""
        with try_lock(self._lock, alone=True) as nobody_else:
            if nobody_else:
                self.step()


class _Wal:
    """The log of one database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._over_ns = 0
        self._rests = self._rested = 0

    def step(self) -> None:
        if self._rests:
            self._rests -= 1
            return
        with suppress(FileNotFoundError), naming_file(self._path):  # nobody has it open now, or ever
            found = self._log.stat()
            if found.st_size > _SHORT_BYTES and found.st_mtime_ns != self._over_ns and self._bring_over():
                self._over_ns = found.st_mtime_ns  # until it is written to again

    def _bring_over(self) -> bool:
        """Copy what can be copied; answers whether no reader has kept anything from it."""
        with closing(sqlite3.connect(self._path, timeout=_LOCK_S, isolation_level=None)) as connection:
            pages, kept = _copied(connection)
            self._rests = self._rested = 0 if pages > _MANY_PAGES else min(2 * self._rested + 1, _MOST_RESTS)
            if pages <= _LONG_PAGES:
                return not kept
            for _ in range(_TRIES):
                before, (pages, kept) = pages, _copied(connection)
                if pages - before <= _FEW_PAGES:
                    break
            if kept <= _FEW_PAGES:
                self._copy_rest(connection)
            return not kept

    def _copy_rest(self, connection: sqlite3.Connection) -> None:
        """Copy while nobody writes. It takes two connections, as who holds the write lock must not copy."""
        with closing(sqlite3.connect(self._path, timeout=_LOCK_S, isolation_level=None)) as holder:
            try:
                holder.execute("begin immediate")
            except sqlite3.OperationalError:  # a writer takes long
                return
            _copied(connection)
            holder.execute("rollback")


def _copied(connection: sqlite3.Connection) -> tuple[int, int]:
    """Copy what no reader needs to find in the log; answers how many pages the log had, and how many of them are kept for readers.

    Another process that copies now leaves nothing to do.
    """
    busy, pages, copied = connection.execute("pragma wal_checkpoint(passive)").fetchone()
    return (0, 0) if busy else (pages, pages - copied)
