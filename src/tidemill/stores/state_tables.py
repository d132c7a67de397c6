"""The tables of `state.db`: what changes together when events are applied, beside the tiles and ids."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, Table

from tidemill.stores.column_types import Whole, Word, Words

STATE_TABLES = MetaData()

POSITION = Table(
    "position",
    STATE_TABLES,
    Column("id", Integer, primary_key=True),
    Column("token", Words, nullable=False),
    Column("known_at_ms", Whole, nullable=False),
    Column("change", Whole, nullable=False),  # rises with every change of the tables in files, so that both change together
    Column("fed", Words, nullable=False),  # the numbers of the tile sets that took the last events
    Column("lake_token", Words, nullable=False),  # how far the lake has come
    Column("lost", Boolean, nullable=False),  # the tables in files are gone and must be built anew before the next event
)
TILE_SET = Table(  # the tiles of one view and bucket size, or the rows of a table
    "tile_set",
    STATE_TABLES,
    Column("number", Whole, primary_key=True),
    Column("view", Word, nullable=False),
    Column("bucket_ms", Whole, nullable=False),
    Column("digest", Word, nullable=False),
    Column("fed_from", Words, nullable=False),  # the position after which it took every event
    Column("filled_to", Whole, nullable=False),  # up to which log offset the events before that were filled in, in their order
    Column("whole", Boolean, nullable=False),
    sqlite_autoincrement=True,  # a number tells tiles apart for good, so none is given twice
)
SKETCH = Table(  # tiles whose states vary in size
    "sketch",
    STATE_TABLES,
    Column("set_number", Whole, nullable=False),
    Column("slot", Words, nullable=False),
    Column("key", Word, nullable=False),
    Column("start_ms", Whole, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index("sketch_by_place", "set_number", "slot", "key", "start_ms", unique=True),
    Index("sketch_by_start", "set_number", "start_ms"),
)
TABLE_ROW = Table(  # of tables: each key's newest row, and those that become valid later
    "table_row",
    STATE_TABLES,
    Column("set_number", Whole, primary_key=True),
    Column("key", Word, primary_key=True),
    Column("at_ms", Whole, primary_key=True),  # from when on it is valid
    Column("event_id", Word, primary_key=True),
    Column("log_offset", Whole, nullable=False),
    Column("held", LargeBinary, nullable=False),  # the values as a JSON array, in the order of the table's columns
    sqlite_with_rowid=False,
)
BOOK = Table(
    "book",
    STATE_TABLES,
    Column("stream", Word, primary_key=True),
    Column("applied", Whole, nullable=False),
    Column("duplicate", Whole, nullable=False),
    Column("late", Whole, nullable=False),
    Column("rejected", Whole, nullable=False),
    Column("last_event_ms", Whole, nullable=False),
)
DEAD_LETTER = Table(
    "dead_letter",
    STATE_TABLES,
    Column("stream", Word, primary_key=True),
    Column("log_offset", Whole, primary_key=True),
    Column("known_at_ms", Whole, nullable=False),
    Column("reason", Word, nullable=False),
    Column("detail", Words, nullable=False),
    Column("payload", Words, nullable=False),
    sqlite_with_rowid=False,
)
FOLLOWER = Table(  # who else reads the applied events, and how far each has come
    "follower",
    STATE_TABLES,
    Column("name", Word, primary_key=True),
    Column("token", Words, nullable=False),
    sqlite_with_rowid=False,
)
DUPLICATE = Table(  # the duplicates that the lake or a follower has not passed yet
    "duplicate",
    STATE_TABLES,
    Column("stream", Word, primary_key=True),
    Column("log_offset", Whole, primary_key=True),
    sqlite_with_rowid=False,
)
OUTCOME = Table(  # what label events said, in the order of commits
    "outcome",
    STATE_TABLES,
    Column("model", Word, primary_key=True),
    Column("number", Whole, primary_key=True),  # behind the model: a monitor reads one model's outcomes from a number on
    Column("log_offset", Whole, nullable=False),
    Column("key", Word, nullable=False),
    Column("known_at_ms", Whole, nullable=False),
    Column("value", Float),
    Column("text", Word),  # in place of the value, where an outcome is a text
    Index("outcome_by_key", "model", "key"),
    sqlite_with_rowid=False,
)
LOG_IDENTITY = Table(  # which log of its name each stream's events were taken from
    "log_identity",
    STATE_TABLES,
    Column("stream", Word, primary_key=True),
    Column("identity", Word, nullable=False),
    sqlite_with_rowid=False,
)
DEFINITION = Table(  # what the versions of views mean; a row never changes
    "definition",
    STATE_TABLES,
    Column("view", Word, primary_key=True),
    Column("version", Whole, primary_key=True),
    Column("digest", Word, nullable=False),
    Column("text", Words, nullable=False),
    Column("first_seen_ms", Whole, nullable=False),
    sqlite_with_rowid=False,
)
