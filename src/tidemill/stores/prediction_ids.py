"""The ids of predictions: they rise in the order in which predictions are logged, and none is given twice, whatever the store has lost.

Predictions do not wait for the disk. A power cut, or a PostgreSQL that crashes, may take the last of them back, whose ids were told:

```
 given              1 2 3 4 5 6 7 8
 after a crash      1 2 3 4 5 6           7 and 8 are not to be given to others
 the next ones      1 2 3 4 5 6     1,000,000,006 (nobody's, on the disk before the next is given)  1,000,000,007 ...
```
So the first who logs after each start of the machine, or crash of the server, goes on far above what is left. In a file the table `intact`
says in which start of the machine that was done last; in PostgreSQL it is unlogged, which is to say that a crash empties it, and nothing
else does. Within one such life an id costs no more than a look at the newest.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import MetaData

from tidemill.stores.boot import boot_id
from tidemill.stores.cursors import Cursor, writing_cursor
from tidemill.stores.databases import Databases

logger = logging.getLogger(__name__)

_FAR = 1_000_000_000  # more than were ever lost: a database writes some thousands in the seconds that it may lose
_NEWEST = "select (select max(id) from prediction), (select since from intact)"
_NOBODYS = (
    "insert into prediction (id, model, key, at_ms, made_wall_ms, position, digest, request, vector) "
    "values (?, '', '', 0, 0, '{}', '', '{}', ?)"
)


class PredictionIds:
    """Gives ids to who logs.

    Args:
        databases: of the home; `serving` has been opened before.
    """

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._since = boot_id() if databases.url is None else ""

    def newest(self, cursor: Cursor) -> int | None:
        """The id that the next ones follow, in a transaction that logs; None where some may have been lost since: `go_on` first."""
        newest, since = cursor.execute(_NEWEST).fetchone()
        return int(newest) if since == self._since else None

    def go_on(self) -> None:
        """Have the next ids be such as were never given; that is on the disk on return."""
        engine = self._databases.open("serving", MetaData(), durable=True)
        try:
            with writing_cursor(engine) as cursor:
                if self.newest(cursor) is not None:  # another process was first
                    return
                left, _ = cursor.execute(_NEWEST).fetchone()
                keep_id(cursor, 0 if left is None else left + _FAR)
                cursor.execute("delete from intact")
                cursor.execute("insert into intact (since) values (?)", (self._since,))
        finally:
            engine.dispose()
        if left is not None:
            logger.info("ids of predictions go on far above, as the last ones may have been lost left=%d next=%d", left, left + _FAR + 1)


def keep_id(cursor: Cursor, prediction_id: int) -> None:
    """A row of no model: whoever comes next is given an id above it."""
    cursor.execute(_NOBODYS, (prediction_id, b""))


def distrust_ids(path: Path) -> None:
    """Have a database that was copied from another's file go on far above what it holds: the other has gone on since, and told ids."""
    with closing(sqlite3.connect(path)) as connection, connection:
        if connection.execute("select count(*) from sqlite_master where name = 'intact'").fetchone()[0]:  # not in one of an earlier version
            connection.execute("delete from intact")
