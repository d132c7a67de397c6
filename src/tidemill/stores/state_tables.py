"""The tables of `state.db`: what changes together when events are applied, beside the tiles and ids in files."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

STATE_TABLES = MetaData()

POSITION = Table(
    "position",
    STATE_TABLES,
    Column("id", Integer, primary_key=True),
    Column("token", Text, nullable=False),
    Column("known_at_ms", Integer, nullable=False),
    Column("change", Integer, nullable=False),  # rises with every change of the tables in files, so that both change together
    Column("fed", Text, nullable=False),  # the numbers of the tile sets that took the last events
    Column("lake_token", Text, nullable=False),  # how far the lake has come
    Column("lost", Boolean, nullable=False),  # the tables in files are gone and must be built anew before the next event
)
TILE_SET = Table(  # the tiles of one view and bucket size, or the rows of a table
    "tile_set",
    STATE_TABLES,
    Column("number", Integer, primary_key=True),
    Column("view", String, nullable=False),
    Column("bucket_ms", Integer, nullable=False),
    Column("digest", String, nullable=False),
    Column("fed_from", Text, nullable=False),  # the position after which it took every event
    Column("filled_to", Integer, nullable=False),  # up to which log offset the events before that were filled in, in their order
    Column("whole", Boolean, nullable=False),
    sqlite_autoincrement=True,  # a number tells tiles apart for good, so none is given twice
)
SKETCH = Table(  # tiles whose states vary in size
    "sketch",
    STATE_TABLES,
    Column("set_number", Integer, nullable=False),
    Column("slot", Text, nullable=False),
    Column("key", String, nullable=False),
    Column("start_ms", Integer, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index("sketch_by_place", "set_number", "slot", "key", "start_ms", unique=True),
    Index("sketch_by_start", "set_number", "start_ms"),
)
TABLE_ROW = Table(  # of tables: each key's newest row, and those that become valid later
    "table_row",
    STATE_TABLES,
    Column("set_number", Integer, primary_key=True),
    Column("key", String, primary_key=True),
    Column("at_ms", Integer, primary_key=True),  # from when on it is valid
    Column("event_id", String, primary_key=True),
    Column("log_offset", Integer, nullable=False),
    Column("held", LargeBinary, nullable=False),  # the values as a JSON array, in the order of the table's columns
    sqlite_with_rowid=False,
)
BOOK = Table(
    "book",
    STATE_TABLES,
    Column("stream", String, primary_key=True),
    Column("applied", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("late", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("last_event_ms", Integer, nullable=False),
)
DEAD_LETTER = Table(
    "dead_letter",
    STATE_TABLES,
    Column("stream", String, primary_key=True),
    Column("log_offset", Integer, primary_key=True),
    Column("known_at_ms", Integer, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("payload", Text, nullable=False),
    sqlite_with_rowid=False,
)
FOLLOWER = Table(  # who else reads the applied events, and how far each has come
    "follower",
    STATE_TABLES,
    Column("name", String, primary_key=True),
    Column("token", Text, nullable=False),
    sqlite_with_rowid=False,
)
DUPLICATE = Table(  # the duplicates that the lake or a follower has not passed yet
    "duplicate",
    STATE_TABLES,
    Column("stream", String, primary_key=True),
    Column("log_offset", Integer, primary_key=True),
    sqlite_with_rowid=False,
)
OUTCOME = Table(  # what label events said, in the order of commits
    "outcome",
    STATE_TABLES,
    Column("model", String, primary_key=True),
    Column("number", Integer, primary_key=True),  # behind the model: a monitor reads one model's outcomes from a number on
    Column("log_offset", Integer, nullable=False),
    Column("key", String, nullable=False),
    Column("known_at_ms", Integer, nullable=False),
    Column("value", Float, nullable=False),
    Index("outcome_by_key", "model", "key"),
    sqlite_with_rowid=False,
)
DEFINITION = Table(  # what the versions of views mean; a row never changes
    "definition",
    STATE_TABLES,
    Column("view", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("first_seen_ms", Integer, nullable=False),
    sqlite_with_rowid=False,
)
