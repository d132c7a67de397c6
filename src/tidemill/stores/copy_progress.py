"""What a long copy needs beside the copying: to say how far it is, to know that there is room, and to say plainly why it failed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidemill.errors import NotReadyError

_SPARE_BYTES = 16_000_000

Progress = Callable[[str, int, int], None]  # what is at work, how many bytes of it are done, of how many


@dataclass
class Tally:
    """Counts bytes and tells the progress."""

    progress: Progress
    what: str
    total: int
    done: int = 0

    def __call__(self, more: int) -> None:
        """So many more are done; what grew meanwhile counts too."""
        self.done += more
        self.progress(self.what, self.done, max(self.total, self.done))


def refuse_small_disk(target: Path, n_bytes: int) -> None:
    """Refuse to begin what there is no room for.

    Raises:
        NotReadyError: how much is needed and how much is free.
    """
    existing = next(folder for folder in target.absolute().parents if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < n_bytes + _SPARE_BYTES:
        raise NotReadyError(f"{n_bytes / 1e6:,.0f} MB are to be written, and {existing} has {free / 1e6:,.0f} MB free; make room first")


@contextmanager
def said_plainly(what: str) -> Iterator[None]:
    """Say what the system could not do.

    Raises:
        NotReadyError: instead of an error of the system or of SQLite.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise NotReadyError(f"{what} was not made, and nothing is left of it: {error}; set that right and try again") from error
