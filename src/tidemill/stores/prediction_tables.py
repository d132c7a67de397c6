"""The tables of the database `serving`: what was asked, the vector that answered it, what each version said, and who serves."""

from __future__ import annotations

import sqlite3

from sqlalchemy import DDL, Column, Float, Index, LargeBinary, MetaData, Table, event

from tidemill.stores.column_types import Whole, Word, Words
from tidemill.stores.cursors import Cursor
from tidemill.stores.schema_version import STEPS


def _key_index_in_a_file_of_its_own(cursor: Cursor) -> None:
    """Version 2: `tidemill.stores.prediction_keys` follows the predictions of a file; a server keeps its index."""
    if isinstance(cursor, sqlite3.Cursor):
        cursor.execute("drop index if exists prediction_by_key")


PREDICTION_TABLES = MetaData(info={STEPS: (_key_index_in_a_file_of_its_own,)})
PREDICTION = Table(
    "prediction",
    PREDICTION_TABLES,
    Column("id", Whole, primary_key=True, autoincrement=False),
    Column("model", Word, nullable=False),
    Column("key", Word, nullable=False),
    Column("at_ms", Whole, nullable=False),
    Column("made_wall_ms", Whole, nullable=False),
    Column("position", Words, nullable=False),
    Column("digest", Word, nullable=False),
    Column("request", Words, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Index("prediction_by_key", "model", "key").ddl_if(dialect="postgresql"),
    Index("prediction_by_time", "model", "at_ms"),
)
TEXT = Table(  # the texts of a vector that its request does not hold, as a JSON object by column
    "prediction_text",
    PREDICTION_TABLES,
    Column("prediction_id", Whole, primary_key=True, autoincrement=False),
    Column("texts", LargeBinary, nullable=False),
)
SCORE = Table(
    "score",
    PREDICTION_TABLES,
    Column("prediction_id", Whole, primary_key=True, autoincrement=False),
    Column("role", Word, primary_key=True),
    Column("version", Whole, nullable=False),
    Column("probability", Float),  # one of these three, by what the model predicts
    Column("value", Float),
    Column("probabilities", LargeBinary),  # float32, in the order of the version's classes
    sqlite_with_rowid=False,
)
CLASSES = Table(  # what the probabilities of a version are of; a row never changes
    "version_classes",
    PREDICTION_TABLES,
    Column("model", Word, primary_key=True),
    Column("version", Whole, primary_key=True),
    Column("classes", Words, nullable=False),  # a JSON array of texts or whole numbers
    sqlite_with_rowid=False,
)
SERVER = Table(
    "server",
    PREDICTION_TABLES,
    Column("id", Word, primary_key=True),
    Column("model", Word, primary_key=True),
    Column("version", Whole, nullable=False),
    Column("seen_wall_ms", Whole, nullable=False),
)
INTACT = Table(  # at most one row, see `tidemill.stores.prediction_ids`
    "intact",
    PREDICTION_TABLES,
    Column("since", Word, primary_key=True),  # the start of the machine; "" in a server, whose crash empties the table
)
_UNLOGGED = DDL("alter table intact set unlogged")  # type: ignore[no-untyped-call]  # SQLAlchemy has none for it
event.listen(INTACT, "after_create", _UNLOGGED.execute_if(dialect="postgresql"))
