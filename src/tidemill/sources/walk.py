"""How a table is walked through again and again by its cursor column, so that every row is met once, those that commit late too.

```
                 floor            until
   ───────────────┼─────────────────┼──────────► cursor
                  └── look-back ────┘ the newest row when the walk began
```
A row takes its cursor value first and appears with its commit. A walk that began when `until` was the newest may miss what was not
committed; by the rule of the look-back such a row's value lies above `until - look_back`, and there the next walk begins. What lies between
and was copied already is remembered. `until` holds still during a walk, however long it takes.

Nine walks of ten look back a tenth of the way only, since most late commits are hardly late: the tenth looks for all of them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson

from tidemill.sources.cursors import Cursor

_FAR_EVERY = 10
_BUCKETS = 8
_DIGEST_BYTES, _DIGEST_LETTERS = 12, 16


class Walk:
    """Where the walks through one table stand.

    Args:
        cursor: the column's kind.
        checkpoint: of an earlier `checkpoint`; empty for a new one.
    """

    def __init__(self, cursor: Cursor, checkpoint: str) -> None:
        held: Mapping[str, Any] = orjson.loads(checkpoint) if checkpoint else {}
        self.place: Sequence[Any] | None = [restored(part) for part in held["place"]] if held.get("place") else None
        """Cursor and key of the last row met in this walk; None before the first."""
        self.until: Any = restored(held.get("until"))
        """The cursor of the last row to meet in this walk."""
        self.start: Any = None
        """The cursor that this walk began at; None for the beginning of the table."""
        self.is_under_way = self.place is not None
        self._floor: int | None = held.get("floor")  # where a walk that looks for every late row has to begin after this one
        self._recent = {int(bucket): _split(digests) for bucket, digests in held.get("recent", {}).items()}
        self._cursor = cursor
        self._turn = 0
        self._width = max(1, (cursor.look_back or 0) // _BUCKETS)

    @property
    def checkpoint(self) -> str:
        """All that has to be kept, as text."""
        place = None if self.place is None else [held(part) for part in self.place]
        recent = {str(bucket): "".join(sorted(digests)) for bucket, digests in sorted(self._recent.items())}
        return orjson.dumps({"until": held(self.until), "floor": self._floor, "place": place, "recent": recent}).decode()

    @property
    def is_far(self) -> bool:
        """Whether the walk to begin next looks for every late row."""
        return self._turn % _FAR_EVERY == 0

    def begin(self, newest: Any) -> None:
        """Begin a walk up to the newest row there is."""
        before, look_back = self.until, self._cursor.look_back
        ticks = self._cursor.ticks
        self.until = newest if before is None else max(before, newest, key=ticks)  # the newest may have been deleted
        if before is None:
            self.start = None
        elif look_back is None or self._floor is None:
            self.start = self._cursor.at(ticks(before) + 1, before)
        else:
            near = self._cursor.floor(ticks(before) - look_back // _FAR_EVERY)
            self.start = self._cursor.at(self._floor if self.is_far else max(self._floor, near), before)
        if look_back is not None and self.is_far:
            self._floor = self._cursor.floor(ticks(self.until) - look_back)
        self._turn += 1
        self.place, self.is_under_way = None, True

    def meet(self, place: Sequence[Any]) -> bool:
        """Whether a row, with this cursor and key, is met for the first time."""
        self.place = place
        if self._floor is None:
            return True
        ticks = self._cursor.ticks(place[0])
        bucket, digest = ticks // self._width, _digest(place)
        if digest in self._recent.get(bucket, ()):
            return False
        if (bucket + 1) * self._width > self._floor:
            self._recent.setdefault(bucket, set()).add(digest)
        return True

    def pause(self, is_over: bool) -> None:
        """Say that some rows were met, or that they were the last of this walk: what is not needed any more is forgotten."""
        if is_over:
            self.place, self.is_under_way = None, False
        if self._floor is not None:
            ahead = self._floor if self.place is None else min(self._floor, self._cursor.floor(self._cursor.ticks(self.place[0])))
            self._recent = {bucket: digests for bucket, digests in self._recent.items() if (bucket + 1) * self._width > ahead}


def held(value: Any) -> Any:
    """A value of a cursor or key as JSON has it; of other types than JSON's with the type.

    >>> held(5), held(datetime(2026, 3, 1))
    (5, {'time': '2026-03-01T00:00:00'})
    """
    for name, (kind, to_text, _) in _KINDS.items():
        if isinstance(value, kind):
            return {name: to_text(value)}
    return value if value is None or isinstance(value, int | float | str) else str(value)


def restored(value: Any) -> Any:
    """The value that was held.

    >>> restored(held(datetime(2026, 3, 1)))
    datetime.datetime(2026, 3, 1, 0, 0)
    """
    if not isinstance(value, Mapping):
        return value
    ((name, text),) = value.items()
    return _KINDS[name][2](text)


def utc_text(moment: datetime) -> str:
    """A time as text, the same whatever zone the connection speaks of it in; one without a zone stays so."""
    return (moment if moment.tzinfo is None else moment.astimezone(UTC)).isoformat()


_KINDS: dict[str, tuple[type, Any, Any]] = {
    "time": (datetime, utc_text, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "uuid": (UUID, str, UUID),
    "decimal": (Decimal, str, Decimal),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
}


def _digest(place: Sequence[Any]) -> str:
    text = orjson.dumps([held(part) for part in place])
    return b64encode(blake2b(text, digest_size=_DIGEST_BYTES).digest()).decode()


def _split(digests: str) -> set[str]:
    return {digests[begin : begin + _DIGEST_LETTERS] for begin in range(0, len(digests), _DIGEST_LETTERS)}
