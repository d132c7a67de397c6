"""The version of a database's schema: a number in the file itself, and the steps from each version to the next.

```
 file of version 1 ──step──► 2 ──step──► 3 = today's       all steps and the number in one transaction
 file of version 4           refused: a later tidemill made it
```
The tables of a database are at version 1 plus the steps that their `MetaData` names: `MetaData(info={STEPS: (add_colour, ...)})`. A new
table needs no step, as what is missing is made; a new column, index or meaning does. A file of before there were numbers is of
version 1. A step is never changed once it was released.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Engine, MetaData

from tidemill.errors import ConflictError

STEPS = "steps"
Step = Callable[[sqlite3.Cursor], None]
_NUMBER = "pragma user_version"


def schema_version(tables: MetaData) -> int:
    """The version that these tables are at today."""
    return 1 + len(_steps(tables))


def upgrade(engine: Engine, path: Path, tables: MetaData) -> None:
    """Bring a file to today's version, all or nothing; a new file gets its number alone.

    Args:
        engine: of the database; its connections say BEGIN themselves.
        path: of the file, for the message.
        tables: what it is opened for; whoever only reads with none leaves the version alone.

    Raises:
        ConflictError: a later version of tidemill made the file.
    """
    if not tables.tables:
        return
    today = schema_version(tables)
    connection = engine.raw_connection()
    try:
        cursor: sqlite3.Cursor = connection.cursor()  # type: ignore[assignment]  # the driver's own
        if _number(cursor) != today:
            cursor.execute("begin immediate")
            for step in _steps(tables)[_number_to_begin_at(cursor, path, today) - 1 :]:
                step(cursor)
            cursor.execute(f"{_NUMBER} = {today}")
            connection.commit()
    finally:
        connection.close()  # back to the pool, which rolls back what did not come to its end


def _number_to_begin_at(cursor: sqlite3.Cursor, path: Path, today: int) -> int:
    """Looked at within the transaction: another process may have been first."""
    number = _number(cursor)
    if number > today:
        what = f"{path} is of schema version {number}, this tidemill knows versions up to {today}: a later one made it"
        raise ConflictError(f"{what}; use that one, or another TIDEMILL_HOME")
    is_new = cursor.execute("select count(*) from sqlite_master where type = 'table'").fetchone()[0] == 0
    return today if is_new else max(1, number)


def _number(cursor: sqlite3.Cursor) -> int:
    return int(cursor.execute(_NUMBER).fetchone()[0])


def _steps(tables: MetaData) -> Sequence[Step]:
    steps: Sequence[Step] = tables.info.get(STEPS, ())
    return steps
