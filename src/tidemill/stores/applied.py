"""Applied events, read from the log again: all that the engine took but for those it did not apply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tidemill.events import EventBatch, EventParser, Stream
from tidemill.stores.state import SqlState
from tidemill.streams import Log, Position, Records


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
            records, end = self._log.read(position, at_once)
            taken = records.up_to(target)
            by_stream = {stream: some for stream, some in taken.by_stream().items() if stream in self._parsers}
            position = end if len(taken) == len(records) == at_once else target
            yield [batch for stream, some in by_stream.items() if len(batch := self._applied(stream, some))], position

    def _applied(self, stream: str, records: Records) -> EventBatch:
        parsed = self._parsers[stream].parse(records.payloads, np.array(records.offsets), np.array(records.known_at_ms))
        skipped = np.array(sorted(self._state.not_applied(stream, records.offsets[0], records.offsets[-1])), dtype=np.int64)
        return parsed.batch.rows(~np.isin(parsed.batch.offsets, skipped))
