"""Predictions by key, where they are in a file: an index in a file of its own, which follows what is logged.

```
 answers ─► serving.db, in the order they are made ─► by and by, many at a time and in the order of keys ─► serving_keys.db
 who asks for keys ─► serving_keys.db as far as it has come ─► serving.db from there on
```
Keys come in no order. In an index beside the rows each logged answer would write a page of its own: of a hundred rows that is most of the
time, and once the index is larger than what SQLite keeps in memory each page is read first too. Here nothing that answers waits for it, as
writing it takes another file's lock. It holds nothing that `serving.db` does not, so it is no part of a backup, and is made anew where it
is of another file. On a server the table has an index of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext

from sqlalchemy import Column, MetaData, Table

from tidemill.stores.again import again_and_again
from tidemill.stores.column_types import Whole, Word
from tidemill.stores.databases import Databases
from tidemill.stores.sqlite import BUSY_S
from tidemill.stores.sqlite_errors import naming_file

NAME = "serving_keys"
_TABLES = MetaData()
_KEY = Table(
    "prediction_key",
    _TABLES,
    Column("key", Word, primary_key=True),
    Column("prediction_id", Whole, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
_REACHED = Table(  # how far it has come, and the mark by which the prediction that it has come to is known
    "reached",
    _TABLES,
    Column("one", Whole, primary_key=True, autoincrement=False),
    Column("up_to", Whole, nullable=False),
    Column("made_wall_ms", Whole, nullable=False),
)
_EVERY_S = 0.25
_FOLLOWED = 1_000  # predictions; fewer wait for more
_NICE = 19  # whoever answers goes first where there are too few cores
_AT_ONCE = 20_000  # predictions a transaction; with more of them its pages come in bursts, for which answers wait
_READ_THROUGH = 20_000  # predictions that whoever looks for keys reads through; some ms
_BEGIN = "insert into reached (one, up_to, made_wall_ms) values (1, 0, 0) on conflict (one) do nothing"
_STANDS = """select up_to, made_wall_ms, (select coalesce(max(id), 0) from serving.prediction),
coalesce((select p.made_wall_ms from serving.prediction p where p.id = up_to), 0) from reached"""
_END = "select coalesce(max(id), ?1) from (select id from serving.prediction where id > ?1 order by id limit ?2)"
_FOLLOW = "insert into prediction_key (key, prediction_id) select key, id from serving.prediction where id > ? and id <= ? order by key, id"
_REACH = "update reached set up_to = ?1, made_wall_ms = coalesce((select p.made_wall_ms from serving.prediction p where p.id = ?1), 0)"


class PredictionKeys:
    """Follows the predictions of a home with its index; does nothing where they are on a server.

    Args:
        databases: of the home; `serving` has been opened before.
    """

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._is_file = databases.url is None
        if self._is_file:
            databases.open(NAME, _TABLES).dispose()

    def catch_up(self, fewest: int | None = None) -> None:
        """Bring the index so far that little is left to read through; whoever looks for keys does so first, and reads as `of_keys` says.

        Args:
            fewest: how many predictions may be left; by default as many as are read through in some ms.

        Raises:
            UnavailableError: a file cannot be read or written just now.
        """
        if not self._is_file:
            return
        with self._connected() as connection:
            while self._follow(connection, _READ_THROUGH if fewest is None else fewest):
                pass

    def forget(self) -> None:
        """Empty the index, so that it is made anew of what is still there."""
        if self._is_file:
            with self._connected() as connection:
                connection.execute("begin")
                connection.execute("delete from reached")
                connection.execute("delete from prediction_key")
                connection.execute("commit")

    def going(self) -> AbstractContextManager[None]:
        """Follow in a thread of its own for as long as the block runs."""
        follow = again_and_again(lambda: self.catch_up(_FOLLOWED), _EVERY_S, "index of predictions by key", nice=_NICE)
        return follow if self._is_file else nullcontext()

    def _follow(self, connection: sqlite3.Connection, fewest: int) -> bool:
        """Take the next predictions in, where more than so many wait or the index is of another file; False when that is done."""
        if not self._is_behind(connection.execute(_STANDS).fetchone(), fewest):
            return False
        # The first statement writes: it waits for another that follows. BEGIN IMMEDIATE would take the other file's lock too.
        connection.execute("begin")
        try:
            connection.execute(_BEGIN)
            up_to, made, last, there = connection.execute(_STANDS).fetchone()
            if up_to > last or made != there:
                connection.execute("delete from prediction_key")
                up_to = 0
            (end,) = connection.execute(_END, (up_to, _AT_ONCE)).fetchone()
            connection.execute(_FOLLOW, (up_to, end))
            connection.execute(_REACH, (end,))
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise
        return True

    @staticmethod
    def _is_behind(standing: tuple[int, int, int, int] | None, fewest: int) -> bool:
        if standing is None:
            return True
        up_to, made, last, there = standing
        return up_to > last or made != there or last - up_to > fewest

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        path = self._databases.path(NAME)
        with naming_file(path), closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)) as connection:
            connection.execute("pragma synchronous=normal")
            connection.execute("attach database ? as serving", (str(self._databases.path("serving")),))
            yield connection


def of_keys(databases: Databases, keys: str, model: str = "") -> str:
    """SQL that is true of the predictions `p` with some keys, of an engine that was opened beside `NAME`.

    Args:
        databases: of the home.
        keys: SQL of the keys: numbered places for values, or a select; it comes up twice where predictions are in a file.
        model: SQL of the one whose predictions they are; of all models without.

    >>> from pathlib import Path
    >>> of_keys(Databases(Path("somewhere"), "postgresql://"), "?2, ?3", "?1")
    'p.model = ?1 and p.key in (?2, ?3)'
    """
    own = f"p.model = {model} and " if model else ""
    if databases.url is not None:
        return f"{own}p.key in ({keys})"
    rest = f"select id from prediction where id > (select coalesce(max(up_to), 0) from {NAME}.reached) and key in ({keys})"
    # The plus keeps SQLite from the index of a model's predictions by time, all of which it would look at.
    return f"{'+' * bool(own)}{own}p.id in (select prediction_id from {NAME}.prediction_key where key in ({keys}) union all {rest})"
