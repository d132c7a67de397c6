"""A table or view of a database as a source, read on by a cursor column."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy import Column, ColumnElement, Connection, Engine, Row, Select, literal, select, tuple_, type_coerce
from sqlalchemy.types import NullType

from tidemill.clock import SECOND_MS
from tidemill.errors import NotReadyError, ProjectError
from tidemill.events import Arrived, Copied, Stream
from tidemill.sources.cursors import Cursor, XidCursor, cursor_of
from tidemill.sources.database import FETCHED, MAX_LETTERS, Address, check_columns, checked_ms
from tidemill.sources.pace import Pace
from tidemill.sources.rows import fitted_row, row_text
from tidemill.sources.walk import Walk, utc_text


@dataclass(frozen=True)
class SqlTable:
    """Each row of a table or view once, and once more whenever its cursor has moved.

    A transaction takes its cursor value, a number of a sequence or the time, before it commits, so rows become visible out of order. Every
    poll therefore looks back; **a row that commits later than `look_back` after it took its value is never seen**. Give more than your
    longest transaction takes. Where no bound can be given, let the writers fill an outbox (`SqlOutbox`), or on PostgreSQL add a column
    `xid8 default pg_current_xact_id()` and name it as the cursor with `look_back=None`: the database then tells itself what is complete.

    An update whose cursor moves is a new event, so it needs an id of its own: `id_field` makes one. Between two polls only the last of
    several updates is seen, and a deletion never.

    Args:
        table: its name. An index on the cursor and the key makes a poll cheap.
        url: of the database, without a password; SQLite and PostgreSQL are tested, others that SQLAlchemy speaks to may work.
        url_env: or the variable of the environment that holds the URL.
        cursor: a column of times (UTC) or of whole numbers that grow.
        look_back: how far late commits are looked for: a duration for times, how many numbers for numbers.
        key: columns that tell apart the rows of one cursor value; the primary key when left out.
        poll_every: how often to look, a duration.
        id_field: a name for one more field, `KEY@CURSOR`, e.g. `17@2026-03-01T08:00:00+00:00`: an id for each version of a row.
        schema: of the table, where it lies in one.

    Raises:
        ProjectError: the URL is given twice or not at all, or holds a password; a duration is none.

    >>> SqlTable("orders", url_env="SHOP_DATABASE_URL", cursor="updated_at", look_back="5min", id_field="event_id").description
    'table orders in $SHOP_DATABASE_URL'
    """

    table: str
    cursor: str
    url: str | None = None
    url_env: str | None = None
    look_back: str | int | None = "5min"
    key: Sequence[str] = ()
    poll_every: str | int = "1s"
    id_field: str | None = None
    schema: str | None = None

    def __post_init__(self) -> None:
        """Check the declaration."""
        checked_ms(self.poll_every, f"table {self.table}", "poll_every")
        if isinstance(self.look_back, str):
            checked_ms(self.look_back, f"table {self.table}", "look_back")
        if isinstance(self.key, str):
            raise ProjectError(f"key={self.key!r} is a text", where=f"table {self.table}", fix=f'write key=("{self.key}",)')
        Address(self.url, self.url_env)

    @property
    def address(self) -> Address:
        """Where the database is."""
        return Address(self.url, self.url_env)

    @property
    def description(self) -> str:
        """What and where."""
        return f"table {self.table} in {self.address}"

    def open(self, stream: Stream, copied: Copied) -> TableReader:
        """See `Source`.

        Raises:
            ProjectError: there is no such table or column, or one that does not fit.
            NotReadyError: the environment has no URL.
        """
        return self.address.read_by(lambda engine: TableReader(self, stream, copied, engine))


class TableReader:
    """The rows of a table, walk after walk."""

    def __init__(self, source: SqlTable, stream: Stream, copied: Copied, engine: Engine) -> None:
        self._source = source
        self._engine = engine
        self._table = source.address.table(engine, source.table, source.schema)
        key = tuple(source.key) or tuple(column.name for column in self._table.primary_key)
        self._check(key)
        self._column = self._table.columns[source.cursor]
        self._cursor: Cursor = cursor_of(self._column, engine.dialect.name, source.look_back, source.description)
        self._order = [self._column, *(self._table.columns[name] for name in key)]
        names = list(self._table.columns.keys())
        self._places = [names.index(column.name) for column in self._order]
        self._names = names
        self._stream = stream
        self._walk = Walk(self._cursor, copied.checkpoint)
        self._pace = Pace(checked_ms(source.poll_every, source.description, "poll_every") / SECOND_MS)

    def read(self, limit: int) -> Arrived | None:
        """See `Reader`."""
        if not self._walk.is_under_way and not (self._pace.is_time() and self._begin()):
            return None
        while self._walk.is_under_way:
            payloads, is_over = self._page(limit)
            if payloads:
                return Arrived(payloads, self._walk.checkpoint, lag=0 if is_over else None)
        return None

    def close(self) -> None:
        """See `Reader`."""
        self._engine.dispose()

    def _check(self, key: Sequence[str]) -> None:
        where = self._source.description
        if not key:
            raise ProjectError("has no primary key", where=where, fix='name columns that tell its rows apart, key=("order_id",)')
        check_columns(self._table, {self._source.cursor: "cursor"} | dict.fromkeys(key, "key"), where)
        if self._source.id_field in self._table.columns.keys():  # noqa: SIM118 - a collection, whose `in` takes no None
            raise ProjectError(f"has a column {self._source.id_field!r} already", where=where, fix="choose another id_field")

    def _begin(self) -> bool:
        """Begin a walk; whether there are rows."""
        with self._engine.connect() as connection:
            if self._walk.is_far and self._column.nullable:
                self._refuse_no_cursor(connection)
            newest = self._cursor.newest(connection)
        if newest is None:
            return False
        before = self._walk.until
        if isinstance(self._cursor, XidCursor) and before is not None and newest < before:
            what = f"its transaction ids have gone back from {before} to {newest}: it was restored, or is another database"
            raise NotReadyError(f"{self._source.description}: {what}; copy it as a new stream")
        self._walk.begin(newest)
        return True

    def _refuse_no_cursor(self, connection: Connection) -> None:
        if connection.scalar(select(literal(1)).select_from(self._table).where(self._column.is_(None)).limit(1)) is not None:
            what = f"a row has no {self._column.name}, so it would never be seen"
            raise NotReadyError(f"{self._source.description}: {what}; fill it, and declare the column not null")

    def _page(self, limit: int) -> tuple[list[str], bool]:
        """The next rows of the walk, those that were copied before left out; and whether it is over."""
        payloads: list[str] = []
        n_rows = n_letters = 0
        statement = self._statement(limit).execution_options(yield_per=min(FETCHED, limit))
        with self._engine.connect() as connection, closing(connection.execute(statement)) as rows:
            for row in rows:
                n_rows += 1
                if self._meets(row):
                    payloads.append(self._payload(row))
                    n_letters += len(payloads[-1])
                    if n_letters > MAX_LETTERS:
                        n_rows = limit  # the walk goes on after this row
                        break
        self._walk.pause(is_over=n_rows < limit)
        return payloads, n_rows < limit

    def _statement(self, limit: int) -> Select[*tuple[Any, ...]]:
        walk, bound = self._walk, self._cursor.bound
        # values as the driver gives them: what SQLAlchemy cannot read would keep all rows from being read
        raw: list[ColumnElement[Any]] = [type_coerce(column, NullType()).label(column.name) for column in self._table.columns]
        column, *key = [self._compared(column) for column in self._order]
        statement = select(*raw).where(column <= bound(walk.until)).order_by(column, *key).limit(limit)
        if walk.place is not None:
            after = [bound(walk.place[0]), *map(self._key_bound, self._order[1:], walk.place[1:])]
            return statement.where(tuple_(column, *key) > tuple_(*after))
        return statement if walk.start is None else statement.where(column >= bound(walk.start))

    def _compared(self, column: Column[Any]) -> Any:
        return type_coerce(column, NullType()) if self._engine.dialect.name == "sqlite" else column

    def _key_bound(self, column: Column[Any], value: Any) -> Any:
        return literal(value) if self._engine.dialect.name == "sqlite" else literal(value, column.type)

    def _meets(self, row: Row[Any]) -> bool:
        place = [row[index] for index in self._places]
        if None in place:
            raise NotReadyError(f"{self._source.description}: a row's key is null; name columns of the key that never are")
        return self._walk.meet(place)

    def _payload(self, row: Row[Any]) -> str:
        fields = dict(zip(self._names, row, strict=True))
        if self._source.id_field is not None:
            cursor, *key = [row[index] for index in self._places]
            name = str(key[0]) if len(key) == 1 else "/".join(quote(str(part), safe=" ") for part in key)
            fields[self._source.id_field] = f"{name}@{self._cursor_text(cursor)}"
        return row_text(fitted_row(fields, self._stream))

    @staticmethod
    def _cursor_text(cursor: Any) -> str:
        return utc_text(cursor) if hasattr(cursor, "tzinfo") else str(cursor)
