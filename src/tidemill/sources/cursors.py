"""Cursor columns: those whose values grow with time, so that a table can be read on from where one stopped.

Each kind maps its values to ticks, whole numbers in the same order: microseconds since the epoch for times, the number itself for numbers.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, Connection, DateTime, Integer, String, Text, cast, func, literal, select

from tidemill.clock import wall_ms
from tidemill.errors import ProjectError
from tidemill.sources.database import Xid8, checked_ms

_TICKS_A_MS, _TICKS_A_SECOND = 1_000, 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_LETTERS = 10


class Cursor(Protocol):
    """One kind of cursor column."""

    look_back: int | None
    """How far back late commits are looked for, ticks; None when the database itself tells what can still commit."""

    def ticks(self, value: Any) -> int:
        """The place of a value among all, as a whole number."""
        ...

    def floor(self, ticks: int) -> int:
        """The nearest place at or before, that `at` names exactly."""
        ...

    def at(self, ticks: int, like: Any) -> Any:
        """The value at such a place, written as `like`, a value of the column."""
        ...

    def bound(self, value: Any) -> ColumnElement[Any]:
        """A value as it is compared with the column."""
        ...

    def newest(self, connection: Connection) -> Any | None:
        """The value up to which rows may be read now; None while there is none."""
        ...


class NumberCursor:
    """Whole numbers out of a sequence.

    Args:
        look_back: how many numbers; see `SqlTable`.
    """

    def __init__(self, column: Column[Any], look_back: int) -> None:
        self.look_back: int | None = look_back
        self._column = column

    def ticks(self, value: Any) -> int:
        """See `Cursor`."""
        return int(value)

    def floor(self, ticks: int) -> int:
        """See `Cursor`."""
        return ticks

    def at(self, ticks: int, like: Any) -> Any:
        """See `Cursor`."""
        return ticks

    def bound(self, value: Any) -> ColumnElement[Any]:
        """See `Cursor`."""
        return literal(value, self._column.type)

    def newest(self, connection: Connection) -> Any | None:
        """See `Cursor`."""
        return connection.scalar(select(func.max(self._column)))


class XidCursor(NumberCursor):
    """PostgreSQL's transaction ids: a snapshot tells which of them are over, so that nothing can come late."""

    def __init__(self, column: Column[Any]) -> None:
        super().__init__(column, 0)
        self.look_back = None

    def bound(self, value: Any) -> ColumnElement[Any]:
        """See `Cursor`."""
        return cast(literal(str(value)), Xid8())

    def newest(self, connection: Connection) -> Any | None:
        """See `Cursor`: the last before the oldest transaction that is still open."""
        return int(connection.scalars(select(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text()))).one()) - 1


class TimeCursor:
    """Times that the database keeps as such; those without a zone are taken as UTC.

    Rows are read up to the database's own time: one that lies ahead must not carry the look-back away with it.

    Args:
        look_back: ticks.
    """

    def __init__(self, column: Column[Any], look_back: int) -> None:
        self.look_back: int | None = look_back
        self._column = column
        self._is_zoned = bool(getattr(column.type, "timezone", False))

    def ticks(self, value: Any) -> int:
        """See `Cursor`."""
        return _ticks(value)

    def floor(self, ticks: int) -> int:
        """See `Cursor`."""
        return ticks

    def at(self, ticks: int, like: Any) -> Any:
        """See `Cursor`."""
        moment = _moment(ticks)
        return moment if self._is_zoned else moment.replace(tzinfo=None)

    def bound(self, value: Any) -> ColumnElement[Any]:
        """See `Cursor`."""
        return literal(value, self._column.type)

    def newest(self, connection: Connection) -> Any | None:
        """See `Cursor`."""
        now: Any = func.now() if self._is_zoned else func.timezone("UTC", func.now())
        if connection.dialect.name != "postgresql":
            now = self.bound(self.at(wall_ms() * _TICKS_A_MS, None))
        return connection.scalar(select(func.max(self._column)).where(self._column <= now))


class TextTimeCursor:
    """Times as SQLite keeps them: ISO texts, all of one form, in UTC. They are compared as the texts that they are.

    Args:
        look_back: ticks.
        where: of the source, for errors.
    """

    def __init__(self, column: Column[Any], look_back: int, where: str) -> None:
        self.look_back: int | None = look_back
        self._column = column
        self._where = where

    def ticks(self, value: Any) -> int:
        """See `Cursor`."""
        try:
            if len(value) > _DATE_LETTERS:
                return _ticks(datetime.fromisoformat(value))
        except (TypeError, ValueError):
            pass
        fix = "write times as SQLite does, e.g. 2026-03-01 08:00:00.250, or name another cursor"
        raise ProjectError(f"{self._column.name} is {value!r}, which is no time", where=self._where, fix=fix)

    def floor(self, ticks: int) -> int:
        """See `Cursor`: a whole second, since its text comes before every text that has a fraction or a zone too."""
        return ticks - ticks % _TICKS_A_SECOND

    def at(self, ticks: int, like: Any) -> Any:
        """See `Cursor`."""
        return _moment(ticks).strftime(f"%Y-%m-%d{like[_DATE_LETTERS]}%H:%M:%S")

    def bound(self, value: Any) -> ColumnElement[Any]:
        """See `Cursor`."""
        return literal(value, String())

    def newest(self, connection: Connection) -> Any | None:
        """See `Cursor`."""
        column: ColumnElement[Any] = self._column
        newest = connection.scalar(select(func.max(column, type_=String())))
        now = wall_ms() * _TICKS_A_MS
        if newest is None or self.ticks(newest) <= now:
            return newest
        return connection.scalar(select(func.max(column, type_=String())).where(column <= self.bound(self.at(self.floor(now), newest))))


def cursor_of(column: Column[Any], dialect: str, look_back: str | int | None, where: str) -> Cursor:
    """The kind of cursor that a column is.

    Args:
        dialect: SQLAlchemy's name of the database.
        look_back: as it stands in the project file.
        where: of the source, for errors.

    Raises:
        ProjectError: the column is no cursor, or the look-back does not fit it.
    """
    if isinstance(column.type, Xid8) or look_back is None:
        return _xid_cursor(column, look_back, where)
    if isinstance(column.type, Integer):
        if isinstance(look_back, str) or look_back < 0:
            fix = "say how many numbers to look back, e.g. look_back=10_000"
            raise ProjectError(f"look_back={look_back!r}, but {column.name} is a number", where=where, fix=fix)
        return NumberCursor(column, look_back)
    if dialect == "sqlite" and isinstance(column.type, DateTime | String):
        return TextTimeCursor(column, checked_ms(look_back, where, "look_back") * _TICKS_A_MS, where)
    if isinstance(column.type, DateTime):
        return TimeCursor(column, checked_ms(look_back, where, "look_back") * _TICKS_A_MS)
    fix = "name a column of times or whole numbers that grow, as the cursor"
    raise ProjectError(f"{column.name} is of the type {column.type}", where=where, fix=fix)


def _xid_cursor(column: Column[Any], look_back: str | int | None, where: str) -> Cursor:
    if not isinstance(column.type, Xid8):
        fix = "say how far to look back, or on PostgreSQL name a column of the type xid8 with the default pg_current_xact_id()"
        raise ProjectError(f"look_back=None, but {column.name} is of the type {column.type}", where=where, fix=fix)
    if look_back is not None:
        fix = "write look_back=None"
        raise ProjectError(f"{column.name} holds transaction ids, which need no look-back", where=where, fix=fix)
    return XidCursor(column)


def _ticks(moment: datetime) -> int:
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (zoned - _EPOCH) // timedelta(microseconds=1)


def _moment(ticks: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ticks)
