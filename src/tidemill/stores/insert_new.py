"""Insert unless it is there: the one statement of Core that each database has a construct of its own for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


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
