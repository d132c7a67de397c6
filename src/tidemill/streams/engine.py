"""The engine: takes events from the log in order, decides what each is, and commits the outcome with the position.

```
log ──read──► judge each: rejected? duplicate? late? else applied ──► StateStore.commit(everything, position)
```
The commit advances the position by compare-and-set from the value that was read, so a second engine, or one that woke up too
late, cannot commit anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tidemill.errors import LATE, EventError, LateEventError
from tidemill.events import Event, EventBatch, Stream, parse_event
from tidemill.streams.log import Log, Record
from tidemill.streams.position import Position


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
    """What one batch of the log changes, all or nothing."""

    before: Position
    after: Position
    known_at_ms: int
    applied: Mapping[str, EventBatch]
    duplicates: Mapping[str, int]
    dead: Sequence[DeadLetter]


class StateStore(Protocol):
    """What the engine needs of a store."""

    def position(self) -> Position:
        """How far the tiles have come."""
        ...

    def seen(self, stream: str, event_ids: Sequence[str]) -> Mapping[str, int]:
        """Of these ids, those already applied, with the time until which each counts (ms)."""
        ...

    def commit(self, commit: Commit) -> None:
        """Write everything in one transaction.

        Raises:
            ConflictError: the position is no longer `commit.before`.
        """
        ...


@dataclass
class _Judged:
    """The verdicts on one batch, gathered record by record."""

    events: dict[str, list[tuple[Record, Event]]] = field(default_factory=lambda: defaultdict(list))
    duplicates: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    dead: list[DeadLetter] = field(default_factory=list)


class Engine:
    """Applies a log to a store.

    Args:
        log: where events come from.
        state: where tiles, ids, position, books and dead letters change together.
        streams: the project's streams.
        retention_ms: of each stream, how old an event may be when it becomes known.
    """

    def __init__(self, log: Log, state: StateStore, streams: Sequence[Stream], retention_ms: Mapping[str, int]) -> None:
        self._log = log
        self._state = state
        self._streams = {stream.name: stream for stream in streams}
        self._retention_ms = dict(retention_ms)
        self._position: Position | None = None  # what this engine committed last; compare-and-set tells when that is no longer so

    def step(self, limit: int) -> int:
        """Apply at most `limit` events of the log; answers how many it took.

        Raises:
            ConflictError: another engine committed meanwhile; nothing was changed.
        """
        before = self._state.position() if self._position is None else self._position
        self._position = None
        records, after = self._log.read(before, limit)
        if not records:
            return 0
        judged = self._judge(records)
        self._state.commit(
            Commit(
                before=before,
                after=after,
                known_at_ms=records[-1].known_at_ms,
                applied={name: self._batch(name, pairs) for name, pairs in judged.events.items()},
                duplicates=judged.duplicates,
                dead=judged.dead,
            )
        )
        self._position = after
        return len(records)

    def drain(self, limit: int) -> int:
        """Apply everything the log holds, `limit` events a transaction; answers how many."""
        total = 0
        while True:
            taken = self.step(limit)
            total += taken
            if taken < limit:
                return total

    def _judge(self, records: Sequence[Record]) -> _Judged:
        judged = _Judged()
        parsed: dict[str, list[tuple[Record, Event]]] = defaultdict(list)
        for record in records:
            try:
                event = self._parse(record)
            except EventError as error:
                judged.dead.append(DeadLetter(record, error.reason, error.detail))
            else:
                parsed[record.stream].append((record, event))
        for name, pairs in parsed.items():
            self._judge_valid(name, pairs, judged)
        return judged

    def _judge_valid(self, name: str, pairs: Sequence[tuple[Record, Event]], judged: _Judged) -> None:
        retention_ms = self._retention_ms[name]
        known_until = dict(self._state.seen(name, [event.event_id for _, event in pairs]))
        for record, event in pairs:
            if record.known_at_ms <= known_until.get(event.event_id, -1):
                judged.duplicates[name] += 1
                continue
            late_by_ms = record.known_at_ms - event.event_time_ms
            if late_by_ms > retention_ms:
                late = LateEventError(stream=name, event_id=event.event_id, late_by_ms=late_by_ms, retention_ms=retention_ms)
                judged.dead.append(DeadLetter(record, late.reason, late.detail))
                continue
            known_until[event.event_id] = event.event_time_ms + retention_ms
            judged.events[name].append((record, event))

    def _parse(self, record: Record) -> Event:
        stream = self._streams.get(record.stream)
        if stream is None:
            raise EventError("unknown_stream", f"no stream {record.stream!r} in the project; there is: {', '.join(sorted(self._streams))}")
        return parse_event(record.payload, stream, record.known_at_ms)

    def _batch(self, name: str, pairs: Sequence[tuple[Record, Event]]) -> EventBatch:
        return EventBatch(
            stream=self._streams[name],
            events=[event for _, event in pairs],
            offsets=np.array([record.offset for record, _ in pairs], dtype=np.int64),
            known_at_ms=np.array([record.known_at_ms for record, _ in pairs], dtype=np.int64),
            payloads=[record.payload for record, _ in pairs],
        )
