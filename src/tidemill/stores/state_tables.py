"""The tables of `state.db`: everything that changes together when events are applied."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

STATE_TABLES = MetaData()

POSITION = Table(
    "position",
    STATE_TABLES,
    Column("id", Integer, primary_key=True),
    Column("token", Text, nullable=False),
    Column("known_at_ms", Integer, nullable=False),
    Column("expired_at_ms", Integer, nullable=False),
)
TILE_SET = Table(  # the tiles of one view and bucket size
    "tile_set",
    STATE_TABLES,
    Column("id", Integer, primary_key=True),
    Column("view", String, nullable=False),
    Column("bucket_ms", Integer, nullable=False),
    Column("digest", String, nullable=False),
    Column("whole", Boolean, nullable=False),  # made before the first event, or filled from history since
)
TILE = Table(
    "tile",
    STATE_TABLES,
    Column("set_id", Integer, primary_key=True),
    Column("key", String, primary_key=True),
    Column("start_ms", Integer, primary_key=True),
    Column("state", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
SEEN = Table(
    "seen",
    STATE_TABLES,
    Column("stream", String, primary_key=True),
    Column("event_id", String, primary_key=True),
    Column("until_ms", Integer, nullable=False),
    Index("seen_by_until", "until_ms"),
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
FOR_LAKE = Table(  # applied events on their way to the lake
    "for_lake",
    STATE_TABLES,
    Column("log_offset", Integer, primary_key=True),
    Column("stream", String, nullable=False),
    Column("known_at_ms", Integer, nullable=False),
    Column("payload", Text, nullable=False),
)
OUTCOME = Table(  # what label events said, in the order it became known
    "outcome",
    STATE_TABLES,
    Column("model", String, primary_key=True),
    Column("log_offset", Integer, primary_key=True),  # behind the model: a monitor reads one model's outcomes from an offset on
    Column("key", String, nullable=False),
    Column("known_at_ms", Integer, nullable=False),
    Column("value", Float, nullable=False),
    Index("outcome_by_key", "model", "key"),
    sqlite_with_rowid=False,
)
