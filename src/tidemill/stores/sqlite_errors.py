"""What SQLite says when a file cannot be used just now, a full disk say, as one error of ours that names the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from tidemill.errors import UnavailableError

_JUST_NOW = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY}  # what is not one's to write does not pass by itself


def unusable(path: Path | str | None, error: sqlite3.Error) -> UnavailableError | None:
    """The error to raise from one of SQLite's; None where the statement is wrong, not the file.

    >>> full = sqlite3.OperationalError("database or disk is full")
    >>> full.sqlite_errorcode = sqlite3.SQLITE_FULL
    >>> unusable("home/serving.db", full)
    UnavailableError('home/serving.db cannot be used just now: database or disk is full; make room, or see who holds it, and try again')
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # whatever kind of it
    if code not in _JUST_NOW:
        return None
    return UnavailableError(f"{path} cannot be used just now: {error}; make room, or see who holds it, and try again")


@contextmanager
def naming_file(path: Path | str | None) -> Iterator[None]:
    """Let what the driver itself runs within raise that error.

    Raises:
        UnavailableError: the file cannot be used just now.
    """
    try:
        yield
    except sqlite3.Error as error:
        if (told := unusable(path, error)) is None:
            raise
        raise told from error


def tell_of_file(engine: Engine) -> None:
    """Let statements that SQLAlchemy runs raise that error; the driver's own cursors do so in `tidemill.stores.cursors`."""

    @event.listens_for(engine, "handle_error")
    def _on_error(context: Any) -> None:
        error = context.original_exception
        if isinstance(error, sqlite3.Error) and (told := unusable(engine.url.database, error)) is not None:
            raise told from error
