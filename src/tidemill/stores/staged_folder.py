"""A folder that comes into being whole or not at all, whatever ends the process that makes it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidemill.errors import ConflictError

_SUFFIX = ".unfinished"


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill beside `folder`, which takes its name when the block ends and is removed when the block raises.

    Killed in between, it stays under its other name (`.unfinished`), and the next try begins with removing what is in it.

    Args:
        folder: what is to be made; if it is there it must be empty.

    Raises:
        ConflictError: there is something in it, or another process is making it.
    """
    folder = folder.absolute()
    refuse_filled(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = folder.with_name(folder.name + _SUFFIX)
    staged.mkdir(exist_ok=True)
    staged.chmod(0o700)  # what a killed try of an earlier release has left, too
    descriptor = os.open(staged, os.O_RDONLY)
    try:
        _hold(descriptor, staged)
        _empty(staged)
        try:
            yield staged
            _make_durable(staged)
            refuse_filled(folder)
            staged.rename(folder)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        sync_folder(folder.parent)
    finally:
        os.close(descriptor)


def refuse_filled(folder: Path) -> None:
    """Refuse a place where something is already.

    Raises:
        ConflictError: it is a file, or a folder that is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConflictError(f"{folder} is not empty; nothing is overwritten, so name another folder or move it away")


def sync_folder(folder: Path) -> None:
    """Let the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hold(descriptor: int, staged: Path) -> None:
    """One process at a time: the lock is on the folder itself, and goes with its holder."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = staged.stat().st_ino == os.fstat(descriptor).st_ino  # else its holder has just finished, and it has its final name
    except (BlockingIOError, FileNotFoundError):
        mine = False
    if not mine:
        raise ConflictError(f"another process is at work on {staged}; wait for it")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _make_durable(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(path))
