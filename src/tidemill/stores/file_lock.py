"""A lock that processes of one machine share; the system releases it when its holder dies."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.0005, 0.05


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock of that file alone; waits for whoever has it. Not to be taken twice by one thread: it would wait for itself."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def try_lock(path: Path, *, alone: bool) -> Iterator[bool]:
    """Hold the lock of that file, shared with others or alone, if nobody stands in the way; answers whether it is held."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def share_within(descriptor: int, patience_s: float) -> bool:
    """Take the lock of an open file, shared with others; False where somebody has held it alone for so long."""
    until_s, pause_s = time.monotonic() + patience_s, _FIRST_PAUSE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until_s:
                return False
        else:
            return True
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
