"""The database of a source: where it is, opened for one reader, and the tables that it holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, MetaData, Table, create_engine, event, make_url
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError
from sqlalchemy.types import UserDefinedType

from tidemill.clock import duration_ms
from tidemill.errors import NotReadyError, ProjectError

R = TypeVar("R")

_BUSY_S = 15
FETCHED = 500  # rows that the driver hands over at a time
MAX_LETTERS = 32_000_000  # of payloads in one read


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id, which SQLAlchemy does not know."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Its name in SQL."""
        return "xid8"


@dataclass(frozen=True)
class Address:
    """Where a database is. A password never stands in a project file: a URL with one comes from the environment.

    Args:
        url: without a password, e.g. `sqlite:///shop.db`; None when it comes from the environment.
        url_env: the variable that holds it, e.g. `SHOP_DATABASE_URL`; None when it stands in the project file.

    Raises:
        ProjectError: neither or both are given, or the URL holds a password or is none.

    >>> str(Address("postgresql://reader@10.0.0.7/shop?connect_timeout=5", None))
    'postgresql://10.0.0.7/shop'
    >>> str(Address(None, "SHOP_DATABASE_URL"))
    '$SHOP_DATABASE_URL'
    """

    url: str | None
    url_env: str | None

    def __post_init__(self) -> None:
        """Check it."""
        if (self.url is None) == (self.url_env is None):
            fix = 'give url_env="SHOP_DATABASE_URL", or url="sqlite:///shop.db"'
            raise ProjectError("needs the database's URL once", where="source", fix=fix)
        if self.url is not None:
            url = _parsed(self.url, "url")
            if url.password is not None or any("password" in name for name in url.query):
                fix = 'put the URL into a variable of the environment and give its name, url_env="SHOP_DATABASE_URL"'
                raise ProjectError("the URL holds a password", where="source", fix=fix)

    def __str__(self) -> str:
        """For people: no user, no password, no options."""
        try:
            url = _parsed(self.url or os.environ.get(self.url_env or "", ""), "url")
        except ProjectError:  # not set, or wrong: `open` says so
            return f"${self.url_env}"
        return URL.create(url.get_backend_name(), host=url.host, port=url.port, database=url.database).render_as_string()

    def read_by(self, make: Callable[[Engine], R]) -> R:
        """A reader on an engine of its own, which is let go when there is no reader.

        Raises:
            NotReadyError: the variable is not set, or there is no such SQLite file.
            ProjectError: the URL is none, its driver is not installed, or the reader does not find what it needs.
        """
        engine = self.open()
        try:
            return make(engine)
        except BaseException:
            engine.dispose()
            raise

    def open(self) -> Engine:
        """An engine for one reader.

        Raises:
            NotReadyError: the variable is not set, or there is no such SQLite file.
            ProjectError: the URL is none, or its driver is not installed.
        """
        text = self.url or os.environ.get(self.url_env or "")
        if not text:
            raise NotReadyError(
                f"the environment has no {self.url_env}; set it to the database's URL, e.g. postgresql://reader@127.0.0.1/shop"
            )
        url, where = _parsed(text, self.url_env or "url"), str(self)
        is_sqlite = url.get_backend_name() == "sqlite"
        if is_sqlite and not (url.database or "").startswith("file:") and not Path(url.database or "").is_file():
            raise NotReadyError(f"{where}: there is no such file yet")
        try:
            engine = create_engine(url, pool_size=1, max_overflow=0, connect_args={"timeout": _BUSY_S} if is_sqlite else {})
        except NoSuchModuleError as error:
            raise ProjectError("SQLAlchemy knows no such database", where=where, fix="use e.g. sqlite:// or postgresql://") from error
        except ModuleNotFoundError as error:
            fix = f"install it into tidemill's environment, e.g. pip install {error.name}"
            raise ProjectError(f"the driver {error.name} is not installed", where=where, fix=fix) from error
        if is_sqlite:
            event.listen(engine, "connect", _read_any_text)
        return engine

    def table(self, engine: Engine, name: str, schema: str | None) -> Table:
        """What the database says of a table or view.

        Raises:
            ProjectError: it has no such table.
        """
        if isinstance(engine.dialect, PGDialect):
            engine.dialect.ischema_names = {**engine.dialect.ischema_names, "xid8": Xid8}
        try:
            return Table(name, MetaData(), schema=schema, autoload_with=engine, resolve_fks=False)
        except NoSuchTableError as error:
            fix = "name a table or view that the source's user may read, and its schema when it lies in one"
            raise ProjectError(f"there is no table {name!r}", where=str(self), fix=fix) from error


def check_columns(table: Table, names: dict[str, str], where: str) -> None:
    """See that a table has the columns that play these roles: role by name.

    Raises:
        ProjectError: it lacks one.
    """
    for name, role in names.items():
        if name not in table.columns:
            raise ProjectError(
                f"{role}={name!r} is no column of {table.name}", where=where, fix=f"choose of {', '.join(table.columns.keys())}"
            )


def checked_ms(text: str | int, where: str, role: str) -> int:
    """A duration in milliseconds.

    Raises:
        ProjectError: it is none.
    """
    try:
        return duration_ms(text)
    except ValueError as error:
        raise ProjectError(str(error), where=where, fix=f'write e.g. {role}="1s"') from error


def _parsed(text: str, where: str) -> URL:
    """SQLAlchemy's reading of a URL; nothing of the text is said, since it may hold a password."""
    if text.startswith("postgres://"):  # as hosting services hand it out
        text = "postgresql" + text.removeprefix("postgres")
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        fix = "write e.g. sqlite:///shop.db or postgresql://reader@127.0.0.1/shop"
        raise ProjectError("is not the URL of a database", where=where, fix=fix) from None


def _read_any_text(connection: Any, _record: Any) -> None:
    """One text that is not UTF-8 must not keep all others from being read."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
