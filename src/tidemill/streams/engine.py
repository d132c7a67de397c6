"""The engine: takes events from the log in order, decides what each is, and commits the outcome with the position.

```
log ──read──► judge each: rejected? duplicate? late? else applied ──► StateStore.commit(everything, position)
```
The commit advances the position by compare-and-set from the value that was read, so a second engine, or one that woke up too
late, cannot commit anything.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tidemill.errors import LATE, JudgedTooEarlyError, LateEventError
from tidemill.events import EventBatch, EventParser, Keys, Stream
from tidemill.stages import stage
from tidemill.streams.log import Record, Records
from tidemill.streams.position import Position

logger = logging.getLogger(__name__)

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was not applied, kept whole with the reason."""

    record: Record
    reason: str
    detail: str

    @property
    def late(self) -> bool:
        """Whether it stands under late in the books; every other one stands under rejected."""
        return self.reason == LATE


@dataclass(frozen=True)
class Commit:
    """What one batch of the log changes, all or nothing; `duplicates` are the log offsets of each stream's.

    `known_at_ms` is that of the newest event. Of several partitions one may be behind, so a batch may hold older ones than the last did.
    """

    before: Position
    after: Position
    known_at_ms: int
    applied: Mapping[str, EventBatch]
    duplicates: Mapping[str, Sequence[int]]
    dead: Sequence[DeadLetter]


class LogReader(Protocol):
    """What the engine needs of a log: all of it, or the share of it that is this engine's."""

    def read(self, after: Position, limit: int) -> tuple[Records, Position]:
        """See `Log.read`.

        Raises:
            ConflictError: this engine reads other partitions than before, so the position must be read again.
        """
        ...

    def follow(self, position: Position) -> None:
        """See `Log.follow`."""
        ...


class StateStore(Protocol):
    """What the engine needs of a store."""

    def position(self) -> Position:
        """How far the tiles have come."""
        ...

    def known_until(self, stream: str, event_ids: Sequence[str]) -> Ints:
        """(n,) int64: the time (ms) until which each id counts as applied; -1 for one that was not."""
        ...

    def commit(self, commit: Commit) -> None:
        """Write everything in one transaction.

        Raises:
            JudgedTooEarlyError: another engine has applied one of the ids; nothing was changed.
            ConflictError: the position is no longer `commit.before`.
        """
        ...


@dataclass
class _Judged:
    """The verdicts on one piece of the log, gathered stream by stream."""

    applied: dict[str, EventBatch] = field(default_factory=dict)
    duplicates: dict[str, list[int]] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)


class Engine:
    """Applies a log to a store.

    Args:
        log: where events come from; all partitions, or those of this engine.
        state: where tiles, ids, position, books and dead letters change together.
        streams: the project's streams.
        retention_ms: of each stream, how old an event may be when it becomes known.
        keys: of each stream, the fields whose length is bounded, alone or together; of none by default.
    """

    def __init__(
        self,
        log: LogReader,
        state: StateStore,
        streams: Sequence[Stream],
        retention_ms: Mapping[str, int],
        keys: Mapping[str, Keys] | None = None,
    ) -> None:
        self._log = log
        self._state = state
        self._parsers = {stream.name: EventParser(stream, (keys or {}).get(stream.name, ())) for stream in streams}
        self._retention_ms = dict(retention_ms)
        self._position: Position | None = None  # what this engine committed last; compare-and-set tells when that is no longer so

    def step(self, limit: int) -> int:
        """Apply at most `limit` events of the log; answers how many it took.

        Raises:
            ConflictError: another engine committed meanwhile, or other partitions are this engine's now; nothing was changed.
        """
        before = self._state.position() if self._position is None else self._position
        self._position = None
        records, after = self._log.read(before, limit)
        if not len(records):
            return 0
        with stage("engine.commit", events=len(records), makes=after.token, follows=records.traces):
            while not self._commit(records, before, after):
                logger.info("judging again, another engine has applied some of the ids meanwhile")
        self._position = after
        self._log.follow(after)
        return len(records)

    def drain(self, limit: int) -> int:
        """Apply everything the log holds, `limit` events a transaction; answers how many."""
        total = 0
        while True:
            taken = self.step(limit)
            total += taken
            if taken < limit:
                return total

    def _commit(self, records: Records, before: Position, after: Position) -> bool:
        """Judge and commit; whether the judgement still stood. Each time it does not, another engine has gone on."""
        judged = self._judge(records)
        commit = Commit(before, after, max(records.known_at_ms), judged.applied, judged.duplicates, judged.dead)
        try:
            self._state.commit(commit)
        except JudgedTooEarlyError:
            return False
        return True

    def _judge(self, records: Records) -> _Judged:
        judged = _Judged()
        for name, mine in records.by_stream().items():
            if name in self._parsers:
                self._judge_stream(name, mine, judged)
            else:
                what = f"no stream {name!r} in the project; there is: {', '.join(sorted(self._parsers))}"
                judged.dead.extend(DeadLetter(mine[place], "unknown_stream", what) for place in range(len(mine)))
        return judged

    def _judge_stream(self, name: str, records: Records, judged: _Judged) -> None:
        """Decided in the order rejected, duplicate, late, applied."""
        parsed = self._parsers[name].parse(records.payloads, records.log_offsets, np.array(records.known_at_ms))
        judged.dead.extend(DeadLetter(records[place], error.reason, error.detail) for place, error in parsed.refused.items())
        batch, retention_ms = parsed.batch, self._retention_ms[name]
        if not len(batch):
            return
        known_until_ms = self._state.known_until(name, batch.event_ids)
        duplicate = batch.known_at_ms <= known_until_ms
        late = ~duplicate & (batch.known_at_ms - batch.event_time_ms > retention_ms)
        if len(set(batch.event_ids)) < len(batch):
            _judge_repeated(batch, retention_ms, known_until_ms, (duplicate, late))
        if late.any():
            places = np.flatnonzero(late).tolist()
            judged.dead.extend(_late_letter(batch, place, records[parsed.places[place]], retention_ms) for place in places)
        if duplicate.any():
            judged.duplicates[name] = batch.offsets[duplicate].tolist()
        fresh = ~duplicate & ~late
        if fresh.any():
            judged.applied[name] = batch.rows(fresh)


def _judge_repeated(batch: EventBatch, retention_ms: int, known_until_ms: Ints, verdicts: tuple[Flags, Flags]) -> None:
    """Judge the ids that occur more than once in a batch one by one, as if each came in a batch of its own; corrects `verdicts`."""
    duplicate, late = verdicts
    times = Counter(batch.event_ids)
    until: dict[str, int] = {}
    for place, event_id in enumerate(batch.event_ids):
        if times[event_id] == 1:
            continue
        known_at_ms, event_time_ms = int(batch.known_at_ms[place]), int(batch.event_time_ms[place])
        duplicate[place] = known_at_ms <= until.setdefault(event_id, int(known_until_ms[place]))
        late[place] = not duplicate[place] and known_at_ms - event_time_ms > retention_ms
        if not duplicate[place] and not late[place]:
            until[event_id] = event_time_ms + retention_ms


def _late_letter(batch: EventBatch, place: int, record: Record, retention_ms: int) -> DeadLetter:
    late_by_ms = int(batch.known_at_ms[place] - batch.event_time_ms[place])
    late = LateEventError(stream=batch.stream.name, event_id=batch.event_ids[place], late_by_ms=late_by_ms, retention_ms=retention_ms)
    return DeadLetter(record, late.reason, late.detail)
