"""What the state of the server profile holds beside the tables of `STATE_TABLES`: tiles and ids as rows of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import BigInteger, Column, Engine, Index, LargeBinary, MetaData, Table
from sqlalchemy.dialects.postgresql import UUID

from tidemill.stores.cursors import Cursor, reading_cursor, writing_cursor
from tidemill.stores.state_tables import STATE_TABLES

ROW_TABLES = MetaData(info=dict(STATE_TABLES.info))
for _table in STATE_TABLES.sorted_tables:
    _table.to_metadata(ROW_TABLES)

# Found by a digest of key, bucket start and tile set. It stands behind the time until which a window reaches the tile: what is written
# at one time lies together, and what has grown too old is one end of the index.
TILE = Table(
    "tile",
    ROW_TABLES,
    Column("until_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("tag", UUID, primary_key=True),
    Column("state", LargeBinary, nullable=False),
    postgresql_with={"fillfactor": 80},  # a tile changes often, and its new row finds room in the same page
)
APPLIED_ID = Table(
    "applied_id",
    ROW_TABLES,
    Column("tag", UUID, primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
    Index("applied_id_by_time", "until_ms"),
)
CATALOGUE = Table("catalogue", ROW_TABLES, Column("number", BigInteger, nullable=False))  # one row, see `tidemill.stores.catalogue`

# What readers keep until the number changes must not be kept under a number that a crash of the server takes back.
_RISE = "with durable as (select set_config('synchronous_commit', 'on', true)) update catalogue set number = number + 1 from durable"


class RowCatalogue:
    """A catalogue whose number is a row, so that it changes in one transaction with what there is to read.

    Args:
        engine: of the state's database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with reading_cursor(engine) as cursor:
            if cursor.execute("select number from catalogue").fetchone() is not None:  # whoever writes just now is not waited for
                return
        with writing_cursor(engine) as cursor:
            cursor.execute("insert into catalogue (number) select 0 where not exists (select from catalogue)")

    def number(self) -> int:
        """The number of now."""
        with reading_cursor(self._engine) as cursor:
            (number,) = cursor.execute("select number from catalogue").fetchone()
        return int(number)

    @contextmanager
    def changing(self) -> Iterator[Cursor]:
        """A transaction that changes what there is to read, alone; when it ends, readers look again."""
        with writing_cursor(self._engine) as cursor:
            yield cursor
            self.rise(cursor)

    def rise(self, cursor: Cursor) -> None:
        """Let readers look again once the caller's transaction is committed."""
        cursor.execute(_RISE)
