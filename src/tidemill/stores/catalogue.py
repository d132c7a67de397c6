"""The catalogue: a number that rises whenever there is something else to read, so that readers may keep until then what they know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from sqlalchemy import Engine

from tidemill.stores.cursors import Cursor, writing_cursor
from tidemill.stores.table_files import TableFiles


class Catalogue(Protocol):
    """What the tile sets need of it."""

    def number(self) -> int:
        """The number of now."""
        ...

    def changing(self) -> AbstractContextManager[Cursor]:
        """A transaction that changes what there is to read, alone; when it ends, readers look again."""
        ...


class FileCatalogue:
    """That of the tables in files.

    Args:
        files: the tables.
        engine: of the state's database.
    """

    def __init__(self, files: TableFiles, engine: Engine) -> None:
        self._files = files
        self._engine = engine

    def number(self) -> int:
        """The number of now."""
        return self._files.catalog

    @contextmanager
    def changing(self) -> Iterator[Cursor]:
        """A transaction that changes what there is to read; not within `TableFiles.writing`, which it takes."""
        with self._files.writing():
            with writing_cursor(self._engine) as cursor:
                yield cursor
            self._files.announce()
