"""The ids that were applied, as rows of PostgreSQL: the digest of stream and id, with the time until which it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tidemill.errors import JudgedTooEarlyError
from tidemill.events import EventBatch
from tidemill.kernels import Ints, Tags
from tidemill.stores.cursors import Cursor
from tidemill.stores.digests import digest_texts
from tidemill.stores.postgres_arrays import int8s, uuids, whole_numbers
from tidemill.stores.row_sizes import Kind

_NEVER = -1
_ODD = np.uint64(1)
_FIND = (
    "select coalesce(string_agg(int4send(asked.place::int4), ''::bytea), ''), coalesce(string_agg(int8send(held.until_ms), ''::bytea), '') "
    "from unnest(?::uuid[]) with ordinality as asked (tag, place) "
    "cross join lateral (select until_ms from applied_id where tag = asked.tag limit 1) as held"
)
_WRITE = (
    "insert into applied_id (tag, until_ms) "
    "select tag, max(until_ms) from unnest(?::uuid[], ?::int8[]) as new (tag, until_ms) group by tag "
    "on conflict (tag) do update set until_ms = greatest(applied_id.until_ms, excluded.until_ms)"
)
_EXPIRE = "delete from applied_id where ctid = any(array(select ctid from applied_id where until_ms < ? limit ?))"


class RowIds:
    """The applied ids of every stream; every call is part of the caller's transaction.

    Args:
        retention_ms: by stream, how long an id counts after its event's time.
    """

    def __init__(self, retention_ms: Mapping[str, int]) -> None:
        self._retention_ms = dict(retention_ms)

    @property
    def kind(self) -> Kind:
        """What their room depends on."""
        return Kind("ids", "applied_id", dict.fromkeys(self._retention_ms.values(), 1))

    def known_until(self, cursor: Cursor, stream: str, event_ids: Sequence[str]) -> Ints:
        """(n,) int64: the time until which each id counts as applied; -1 for one that was not."""
        found, until_ms = cursor.execute(_FIND, (uuids(*_tags(stream, event_ids)),)).fetchone()
        known = np.full(len(event_ids), _NEVER, dtype=np.int64)
        known[whole_numbers(found, 4) - 1] = whole_numbers(until_ms, 8)
        return known

    def check(self, cursor: Cursor, applied: Mapping[str, EventBatch]) -> None:
        """Whether these events may still be applied, now that nobody else can write.

        Raises:
            JudgedTooEarlyError: another engine has applied one of their ids since they were judged.
        """
        for stream, batch in applied.items():
            if (self.known_until(cursor, stream, batch.event_ids) >= batch.known_at_ms).any():
                raise JudgedTooEarlyError(f"another engine has applied events of {stream!r} with the same ids meanwhile; judge again")

    def write(self, cursor: Cursor, applied: Mapping[str, EventBatch]) -> None:
        """Take the ids of these events; one that is there already keeps the later time."""
        for stream, batch in applied.items():
            until_ms = batch.event_time_ms + self._retention_ms[stream]
            cursor.execute(_WRITE, (uuids(*_tags(stream, batch.event_ids)), int8s(until_ms)))

    def expire(self, cursor: Cursor, before_ms: int, most: int) -> None:
        """Delete some of the ids that have ceased to count before a time."""
        cursor.execute(_EXPIRE, (before_ms, most))


def _tags(stream: str, event_ids: Sequence[str]) -> tuple[Tags, Tags]:
    """Those of ids within a stream: other streams may have the same ids."""
    a, b, _ = digest_texts(event_ids)
    of_stream, also, _ = digest_texts([stream])
    return a ^ of_stream, (b ^ also) | _ODD
