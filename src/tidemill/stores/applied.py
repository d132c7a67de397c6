"""Applied events, read from the log again: all that the engine took but for those it did not apply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tidemill.events import EventBatch, EventParser, Stream
from tidemill.stores.state import SqlState
from tidemill.streams import Log, Position, Records
from tidemill.streams.log_offset import Ints, partitions_of


class AppliedReader:
    """Reads what a state has applied from the log.

    Args:
        log: where the events are.
        state: how far the engine has come, and what it did not apply since the lake, or a follower, passed.
        streams: the project's streams.
    """

    def __init__(self, log: Log, state: SqlState, streams: Sequence[Stream]) -> None:
        self._log = log
        self._state = state
        self._parsers = {stream.name: EventParser(stream) for stream in streams}

    def after(self, position: Position, at_once: int) -> Iterator[tuple[list[EventBatch], Position]]:
        """The events after a position, which the lake has not passed, or which the caller follows from; up to where the state stands now.

        Args:
            position: where to begin.
            at_once: how many events of the log to read at a time.

        Yields:
            A batch for each stream that has some, and the position up to which everything has been yielded.
        """
        target = self._state.position()
        while not position.at_least(target):
            records, end = self._log.read(position, at_once, target)
            by_stream = {stream: some for stream, some in records.by_stream().items() if stream in self._parsers}
            position = end if len(records) else target
            yield [batch for stream, some in by_stream.items() if len(batch := self._applied(stream, some))], position

    def _applied(self, stream: str, records: Records) -> EventBatch:
        batch = self._parsers[stream].parse(records.payloads, records.log_offsets, np.array(records.known_at_ms)).batch
        skipped = [offset for first, last in _spans(records.log_offsets) for offset in self._state.not_applied(stream, first, last)]
        return batch.rows(~np.isin(batch.offsets, np.array(skipped, dtype=np.int64)))


def _spans(log_offsets: Ints) -> Iterator[tuple[int, int]]:
    """Of each partition, the first and the last."""
    partitions = partitions_of(log_offsets)
    for partition in np.unique(partitions).tolist():
        mine = log_offsets[partitions == partition]
        yield int(mine[0]), int(mine[-1])
