"""Insert unless it is there: the one statement of Core that each database has a construct of its own for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from tidemill.stores.cursors import reading


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], unique: Sequence[str] = ()) -> int:
    """Insert the rows that meet no row of the same key; answers how many those were.

    Args:
        connection: in the caller's transaction.
        table: where to.
        rows: by column; at least one, all with the same columns.
        unique: the columns of the key that may be met; of any unique key where none are named.
    """
    insert = postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
    statement: Any = insert.on_conflict_do_nothing(index_elements=list(unique) or None)  # neither dialect's is the other's type
    return connection.execute(statement, [dict(row) for row in rows], execution_options={"preserve_rowcount": True}).rowcount


def begin_with(engine: Engine, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Let a table hold these rows from the beginning. Where it has them nothing is written, so whoever writes just now is not waited for.

    Args:
        engine: of the database.
        table: with a key of one column.
        rows: by column, all with the same columns.
    """
    (key,) = table.primary_key.columns
    with reading(engine).connect() as connection:
        there = set(connection.execute(select(key)).scalars())
    if missing := [row for row in rows if row[key.name] not in there]:
        with engine.begin() as connection:
            insert_new(connection, table, missing)
