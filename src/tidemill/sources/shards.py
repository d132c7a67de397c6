"""The shards of a Kinesis data stream: which may be read, how far each is read, and whether records may be gone.

A record is deleted once it is older than the stream's retention, whether it was read or not, and Kinesis then goes on with the next without
a word. So each shard holds the time up to which it is read: of its last record, or when it was last seen to its end. While that lies
within the retention, nothing can be missing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.clock import HOUR_MS, to_utc
from tidemill.errors import NotReadyError
from tidemill.events import Copied

logger = logging.getLogger(__name__)


@dataclass
class Shard:
    """How far one shard is read.

    Args:
        name: its id.
        parents: the shards that it came out of.
        sequence: of the last record read; None before the first.
        read_ms: wall time up to which nothing of it is unread; None before anything was read.
        iterator: what Kinesis goes on from; None when it has to be asked for.
        is_from_oldest: whether to go on from the oldest record there is, since the last one read is there no more.
        is_at_the_end: whether the last read found nothing more.
        is_finished: whether it is closed and read to its end.
        due_s: when it may be read again, by the monotonic clock.
    """

    name: str
    parents: tuple[str, ...]
    sequence: str | None = None
    read_ms: int | None = None
    iterator: str | None = None
    is_from_oldest: bool = False
    is_at_the_end: bool = False
    is_finished: bool = False
    due_s: float = 0.0


class Shards:
    """All shards of a data stream.

    Args:
        where: of the source, for errors.
        copied: what the log has.
        held: of an earlier `held`; empty for a new copy.
        allow_gaps: warn instead of raising where records may be gone.
    """

    def __init__(self, where: str, copied: Copied, held: Mapping[str, Any], *, allow_gaps: bool) -> None:
        self._where = where
        self._is_copied = copied.is_finished
        self._allow_gaps = allow_gaps
        self._created: str | None = held.get("created")
        self._known: dict[str, tuple[str | None, int | None]] = {name: (said[0], said[1]) for name, said in held.get("shards", {}).items()}
        self._open: dict[str, Shard] = {}
        self._finished: set[str] = set()
        self.retention_ms = 24 * HOUR_MS
        """How long records are kept."""

    @property
    def readable(self) -> list[Shard]:
        """Those whose parents are read to their end, or exist no more."""
        return [shard for shard in self._open.values() if not any(parent in self._open for parent in shard.parents)]

    @property
    def are_at_the_end(self) -> bool:
        """Whether there was nothing more in any of them at the last read."""
        return all(shard.is_at_the_end for shard in self._open.values())

    @property
    def held(self) -> dict[str, Any]:
        """What a checkpoint has to hold."""
        begun = {shard.name: (shard.sequence, shard.read_ms) for shard in self._open.values() if shard.sequence or shard.read_ms}
        return {"created": self._created, "shards": begun}

    def update(self, created: str, retention_ms: int, listed: Iterable[Mapping[str, Any]]) -> None:
        """Take over what Kinesis says of the stream.

        Raises:
            NotReadyError: records may be gone: the stream was made anew, or a shard is no more that was not read to its end.
        """
        if self._created not in (None, created):
            self._gap("the data stream was deleted, and made anew under its name")
            self._known, self._open, self._finished = {}, {}, set()
        self._created, self.retention_ms = created, retention_ms
        there = {str(shard["ShardId"]): shard for shard in listed}
        for name in [name for name in (*self._known, *self._open) if name not in there]:
            self._gap(f"shard {name} is no more, and was not read to its end")
            self._known.pop(name, None)
            self._open.pop(name, None)
        for name, shard in there.items():
            if name not in self._open and not self._is_finished(name):
                parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
                self._open[name] = Shard(name, tuple(parent for parent in parents if parent), *self._known.pop(name, (None, None)))

    def finish(self, shard: Shard) -> str:
        """Note that a shard is read to its end; answers the name of the finished part."""
        del self._open[shard.name]
        self._finished.add(shard.name)
        return self._part(shard.name)

    def check(self, shard: Shard, now_ms: int) -> None:
        """See that what comes next in a shard has not been deleted.

        Raises:
            NotReadyError: it may have been.
        """
        if shard.read_ms is not None and now_ms - shard.read_ms > self.retention_ms:
            said = f"shard {shard.name} is read up to {to_utc(shard.read_ms):%Y-%m-%d %H:%M:%S}Z"
            self._gap(f"{said}, longer ago than the {self.retention_ms // HOUR_MS} h that records are kept")
            shard.read_ms, shard.iterator, shard.is_from_oldest = None, None, True

    def _gap(self, what: str) -> None:
        if not self._allow_gaps:
            raise NotReadyError(f"{self._where}: {what}; records may be gone that were not copied: to go on, write allow_gaps=True")
        logger.warning("%s: %s; records may be gone that were not copied", self._where, what)

    def _is_finished(self, name: str) -> bool:
        if name not in self._finished and self._is_copied(self._part(name)):
            self._finished.add(name)
        return name in self._finished

    def _part(self, name: str) -> str:
        """The name under which the log keeps that a shard is finished; those of a stream made anew have the same ids."""
        return f"{name} of {self._created}"
