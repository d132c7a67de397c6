"""Where a home keeps its databases: files of SQLite, or schemas of one PostgreSQL database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, MetaData, event

from tidemill.stores.at_once import AtOnce
from tidemill.stores.file_mark import FileMark
from tidemill.stores.postgres import drop_schemas, open_postgres, schema_exists
from tidemill.stores.sqlite import connect_sqlite, open_sqlite

NAMES = ("log", "loop", "serving", "sources", "state")  # `log` where it is in SQL, `sources` where it is elsewhere


@dataclass(frozen=True)
class Databases:
    """The databases of one home; see `NAMES`.

    Args:
        home: the folder of the files.
        url: of a PostgreSQL database that holds them instead, each in the schema of its name; it may hold a password.

    >>> Databases(Path("somewhere")).path("log")
    PosixPath('somewhere/log.db')
    """

    home: Path
    url: str | None = field(default=None, repr=False)

    def open(self, name: str, tables: MetaData, *, durable: bool = False) -> Engine:
        """An engine on one of them; see `open_sqlite` and `open_postgres`."""
        if self.url is None:
            return open_sqlite(self.path(name), tables, durable=durable)
        return open_postgres(self.url, name, tables, durable=durable)

    def open_at_once(self, name: str) -> AtOnce | None:
        """Who writes at once or not at all into one that was opened before and is a file. None of one in a server."""
        return None if self.url is not None else AtOnce(connect_sqlite(self.path(name), busy_s=0), str(self.path(name)))

    def open_mark(self, name: str) -> FileMark | None:
        """A sign that one that was opened before and is a file was written to. None of one in a server."""
        return None if self.url is not None else FileMark(connect_sqlite(self.path(name), busy_s=0))

    def open_beside(self, name: str, *others: str) -> Engine:
        """An engine on one of them that reads the tables of others too, under their names: `state.outcome`. All have been made before."""
        engine = self.open(name, MetaData())
        if self.url is None:
            engine.dispose()  # of connections from before

            @event.listens_for(engine, "connect")
            def _attach(connection: Any, _record: Any) -> None:
                for other in others:
                    connection.execute(f"attach database ? as {other}", (str(self.path(other)),))

        return engine

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]:
        """What holds them."""
        return "sqlite" if self.url is None else "postgresql"

    def called(self, name: str) -> str:
        """What a person knows it by: its file, or its schema."""
        return str(self.path(name)) if self.url is None else f"the schema {name!r} of the database"

    def exists(self, name: str) -> bool:
        """Whether it was ever opened.

        Raises:
            UnavailableError: the server does not answer.
        """
        return self.path(name).exists() if self.url is None else schema_exists(self.url, name)

    def remove(self, *names: str) -> None:
        """Remove some of a server's with all they hold; files go with their home."""
        if self.url is not None:
            drop_schemas(self.url, names)

    def path(self, name: str) -> Path:
        """The file that holds it, where there is one."""
        return self.home / f"{name}.db"
