"""How much room the rows of tiles and ids take in PostgreSQL."""

from __future__ import annotations

from tidemill.stores.cursors import Cursor
from tidemill.stores.sizes import Size

_COUNTED = 100_000  # up to so many rows are counted; of more, the server's own estimate says enough
_ESTIMATE = "select reltuples::int8, pg_total_relation_size(oid) from pg_class where oid = ?::regclass"
_KINDS = {"tile": "tiles", "applied_id": "ids"}


def row_sizes(cursor: Cursor) -> list[Size]:
    """The room of all tiles, and of all ids, with their indexes."""
    found = []
    for table, what in _KINDS.items():
        n_rows, n_bytes = cursor.execute(_ESTIMATE, (table,)).fetchone()
        if n_rows < _COUNTED:
            (n_rows,) = cursor.execute(f"select count(*) from {table}").fetchone()
        found.append(Size(what, n_rows, n_bytes, 0.0, n_bytes))
    return found
