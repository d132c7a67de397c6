"""An outbox table as a source: rows that writers put there with their own changes, taken out once the log has them.

```
 read ──► append, with the rows' ids and digests in the checkpoint ──► next read: delete those rows, then read
```
Rows are found by presence, so it does not matter in which order they were committed. One that is found again, since the copy ended between
append and delete, is told by the checkpoint. The digest of the payload tells it from a new row that was given the same id.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy import Boolean, ColumnElement, Connection, Engine, delete, false, func, or_, select, true, type_coerce, update
from sqlalchemy import Text as SqlText
from sqlalchemy import cast as sql_cast
from sqlalchemy.types import JSON, DateTime, NullType

from tidemill.clock import SECOND_MS
from tidemill.errors import ProjectError
from tidemill.events import Arrived, Copied, Stream
from tidemill.sources.database import FETCHED, MAX_LETTERS, Address, check_columns, checked_ms
from tidemill.sources.pace import Pace
from tidemill.sources.walk import held, restored

_DIGEST_BYTES = 12


@dataclass(frozen=True)
class SqlOutbox:
    """Each row of an outbox table once, whenever and in whatever order rows are committed.

    Args:
        table: its name; a few thousand rows are read at a time, in the order of the ids.
        url: of the database, without a password; SQLite and PostgreSQL are tested. Its user may read and delete (or update) rows.
        url_env: or the variable of the environment that holds the URL.
        id: a unique column that is never null.
        payload: the column with the event, a JSON object as text or of a JSON type.
        mark: a column of times or booleans to set instead of deleting the row; it is null (or false) until then.
        poll_every: how often to look, a duration.
        schema: of the table, where it lies in one.

    Raises:
        ProjectError: the URL is given twice or not at all, or holds a password; `poll_every` is no duration.

    >>> SqlOutbox("outbox", url="sqlite:///shop.db").description
    'outbox outbox in sqlite:///shop.db'
    """

    table: str
    url: str | None = None
    url_env: str | None = None
    id: str = "id"
    payload: str = "payload"
    mark: str | None = None
    poll_every: str | int = "1s"
    schema: str | None = None

    def __post_init__(self) -> None:
        """Check the declaration."""
        checked_ms(self.poll_every, f"outbox {self.table}", "poll_every")
        Address(self.url, self.url_env)

    @property
    def address(self) -> Address:
        """Where the database is."""
        return Address(self.url, self.url_env)

    @property
    def description(self) -> str:
        """What and where."""
        return f"outbox {self.table} in {self.address}"

    def open(self, stream: Stream, copied: Copied) -> OutboxReader:
        """See `Source`.

        Raises:
            ProjectError: there is no such table or column, or one that does not fit.
            NotReadyError: the environment has no URL.
        """
        return self.address.read_by(lambda engine: OutboxReader(self, copied, engine))


class OutboxReader:
    """The rows of an outbox that were not copied yet."""

    def __init__(self, source: SqlOutbox, copied: Copied, engine: Engine) -> None:
        self._engine = engine
        self._table = source.address.table(engine, source.table, source.schema)
        roles = {source.id: "id", source.payload: "payload"} | ({} if source.mark is None else {source.mark: "mark"})
        check_columns(self._table, roles, source.description)
        self._id, payload = self._table.columns[source.id], self._table.columns[source.payload]
        self._mark = None if source.mark is None else self._table.columns[source.mark]
        if self._mark is not None and not isinstance(self._mark.type, Boolean | DateTime):
            fix = "name a column of booleans or times"
            raise ProjectError(f"mark={source.mark!r} is of the type {self._mark.type}", where=source.description, fix=fix)
        text = sql_cast(payload, SqlText()) if isinstance(payload.type, JSON) else payload
        self._raw = (type_coerce(self._id, NullType()), type_coerce(text, NullType()))
        self._appended: dict[Any, str] = {}  # the digest of each row that the log has and the outbox may have yet
        if copied.checkpoint:
            self._appended = {restored(row_id): digest for row_id, digest in orjson.loads(copied.checkpoint)}
        self._pace = Pace(checked_ms(source.poll_every, source.description, "poll_every") / SECOND_MS)
        self._has_more = False

    def read(self, limit: int) -> Arrived | None:
        """See `Reader`. What was read before is in the log by now, else this reader would have been closed."""
        if self._appended:
            self._take_out()
        if not (self._has_more or self._pace.is_time()):
            return None
        read = list(self._rows(limit))
        payloads = [payload for _, payload in read]
        self._has_more = len(read) == limit or sum(map(len, payloads)) > MAX_LETTERS
        if not read:
            return None
        self._appended = {row_id: _digest(payload) for row_id, payload in read}
        checkpoint = orjson.dumps([(held(row_id), digest) for row_id, digest in self._appended.items()]).decode()
        return Arrived(payloads, checkpoint, lag=None if self._has_more else 0)

    def close(self) -> None:
        """See `Reader`."""
        self._engine.dispose()

    def _rows(self, limit: int) -> Iterator[tuple[Any, str]]:
        """The id and the payload of the first rows; fewer than `limit` also when they are very long."""
        statement = select(*self._raw).where(*self._is_waiting()).order_by(self._id).limit(limit)
        statement = statement.execution_options(yield_per=min(FETCHED, limit))
        n_letters = 0
        with self._engine.connect() as connection, closing(connection.execute(statement)) as rows:
            for row_id, payload in rows:
                text = _text(payload)
                yield row_id, text
                n_letters += len(text)
                if n_letters > MAX_LETTERS:
                    return

    def _take_out(self) -> None:
        """Delete or mark the rows that the log has."""
        ids = list(self._appended)
        for begin in range(0, len(ids), FETCHED):
            some = {row_id: self._appended[row_id] for row_id in ids[begin : begin + FETCHED]}
            with self._engine.begin() as connection:
                if connection.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE")  # nobody changes a row between the look and the deletion
                self._take_out_some(connection, some)
        self._appended = {}

    def _take_out_some(self, connection: Connection, appended: Mapping[Any, str]) -> None:
        found = connection.execute(select(*self._raw).where(self._id.in_(appended), *self._is_waiting()).with_for_update())
        done = [row_id for row_id, payload in found if _digest(_text(payload)) == appended[row_id]]
        if not done:
            return
        if self._mark is None:
            connection.execute(delete(self._table).where(self._id.in_(done)))
        else:
            value = true() if isinstance(self._mark.type, Boolean) else func.now()
            connection.execute(update(self._table).where(self._id.in_(done)).values({self._mark: value}))

    def _is_waiting(self) -> list[ColumnElement[bool]]:
        if self._mark is None:
            return []
        return [or_(self._mark.is_(None), self._mark == false()) if isinstance(self._mark.type, Boolean) else self._mark.is_(None)]


def _text(payload: Any) -> str:
    if isinstance(payload, bytes):
        return payload.decode("utf-8", "backslashreplace")
    return "null" if payload is None else str(payload)


def _digest(payload: str) -> str:
    return b64encode(blake2b(payload.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()).decode()
