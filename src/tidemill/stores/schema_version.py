"""The version of a database's schema: a number in the database itself, and the steps from each version to the next.

```
 database of version 1 ──step──► 2 ──step──► 3 = today's       all steps and the number in one transaction
 database of version 4           refused: a later tidemill made it
```
The tables of a database are at version 1 plus the steps that their `MetaData` names: `MetaData(info={STEPS: (add_colour, ...)})`. A new
table needs no step, as what is missing is made; a new column, index or meaning does. A file of before there were numbers is of
version 1. A step is never changed once it was released, and is written for SQLite and PostgreSQL both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Engine, MetaData, inspect

from tidemill.errors import ConflictError
from tidemill.stores.cursors import Cursor, reading, reading_cursor, writing_cursor

STEPS = "steps"
Step = Callable[[Cursor], None]
# SQLite has room for a number in the file's header; in PostgreSQL a table of the schema holds it.
_READ = {"sqlite": "pragma user_version", "postgresql": "select coalesce(max(number), 0) from schema_version"}
_WRITE = {
    "sqlite": "pragma user_version = {number}",
    "postgresql": "delete from schema_version; insert into schema_version (number) values ({number})",
}
_TABLES = {
    "sqlite": "select count(*) from sqlite_master where type = 'table'",
    "postgresql": "select count(*) from pg_tables where schemaname = current_schema() and tablename <> 'schema_version'",
}
VERSION_TABLE = "create table if not exists schema_version (number integer not null)"


def schema_version(tables: MetaData) -> int:
    """The version that these tables are at today."""
    return 1 + len(_steps(tables))


def upgrade(engine: Engine, tables: MetaData, where: str, elsewhere: str) -> None:
    """Bring a database to today's version, all or nothing; a new one gets its number alone.

    Args:
        engine: of the database, one of PostgreSQL with `VERSION_TABLE` made.
        tables: what it is opened for; whoever only reads with none leaves the version alone.
        where: what the database is called, for the message.
        elsewhere: where one could begin anew, for the message.

    Raises:
        ConflictError: a later version of tidemill made it.
    """
    if not tables.tables:
        return
    today, kind = schema_version(tables), engine.dialect.name
    with reading_cursor(engine) as cursor:
        if _number(cursor, kind) == today:
            return
    with writing_cursor(engine) as cursor:  # looked at again: another process may have been first
        number = _number(cursor, kind)
        if number > today:
            what = f"{where} is of schema version {number}, this tidemill knows versions up to {today}: a later one made it"
            raise ConflictError(f"{what}; use that one, or {elsewhere}")
        is_new = cursor.execute(_TABLES[kind]).fetchone()[0] == 0
        for step in _steps(tables)[today - 1 if is_new else max(1, number) - 1 :]:
            step(cursor)
        cursor.execute(_WRITE[kind].format(number=today))


def make_missing(engine: Engine, tables: MetaData) -> None:
    """Make the tables that are not there yet. Where all are, nothing is written, so whoever writes just now is not waited for."""
    with reading(engine).connect() as connection:
        there = set(inspect(connection).get_table_names())
    if not there.issuperset(tables.tables):
        tables.create_all(engine)


def refuse_other_columns(engine: Engine, tables: MetaData, where: str, elsewhere: str) -> None:
    """Refuse a database whose tables lack columns of today's; see `upgrade`.

    Raises:
        ConflictError: names the table and the columns.
    """
    with reading(engine).connect() as connection:
        columns_of = inspect(connection).get_columns
        for table in tables.sorted_tables:
            missing = set(table.columns.keys()) - {column["name"] for column in columns_of(table.name)}
            if missing:
                lacks = f"its table {table.name!r} has no {', '.join(sorted(missing))}"
                raise ConflictError(f"{where} was made by another version of tidemill: {lacks}; use that version, or {elsewhere}")


def _number(cursor: Cursor, kind: str) -> int:
    return int(cursor.execute(_READ[kind]).fetchone()[0])


def _steps(tables: MetaData) -> Sequence[Step]:
    steps: Sequence[Step] = tables.info.get(STEPS, ())
    return steps
