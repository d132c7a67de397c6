"""What a full disk means to files that are mapped: room is taken before they are written to, and an error of ours says where it is missing.

A file that is made longer gets no room on the disk before it is written to. Where none is left then, the system kills the process that
writes through a map (SIGBUS), in the middle of whatever it does. SQLite sees to its own mapped file. Where a file system copies
what is written over (btrfs, ZFS) that takes room too, and cannot be taken ahead.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidemill.errors import UnavailableError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_IN_RUST = re.compile(r"\(os error (\d+)\)")


def reserve(path: Path, begin: int, end: int) -> None:
    """Take the room on the disk that `[begin, end)` of a file needs; its bytes stay, and what has room already costs next to nothing.

    Only Linux can do so: elsewhere room is taken as before, when it is written to.

    Raises:
        OSError: there is no room; it names the file.
    """
    if sys.platform != "linux":
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), begin, end - begin)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def write_whole(path: Path, contents: bytes) -> None:
    """Put a file in the place of the one that is there, if any; where it cannot be written that one stays, and nothing else is left."""
    written = path.with_name(f"{path.name}.new")
    try:
        written.write_bytes(contents)
    except OSError:
        written.unlink(missing_ok=True)
        raise
    written.replace(path)


@contextmanager
def told_of_room(folder: Path) -> Iterator[None]:
    """Say of a disk or a quota that is full so much, and where.

    Args:
        folder: what is named where the system does not name a file.

    Raises:
        UnavailableError: instead of the system's error, or of what a library makes of it.
    """
    try:
        yield
    except Exception as error:
        number = _number(error)
        if number not in _FULL:
            raise
        where = getattr(error, "filename", None) or folder
        raise UnavailableError(f"{where} cannot be written just now: {os.strerror(number)}; make room, and try again") from error


def _number(error: Exception) -> int:
    """The system's number of an error; a library in Rust, as the lake's, names it in its text alone. 0 for none."""
    if named := _IN_RUST.search(str(error)):
        return int(named[1])
    return (error.errno or 0) if isinstance(error, OSError) else 0
