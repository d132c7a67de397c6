"""Moving applied events from the log to the lake."""

from __future__ import annotations

import time

from tidemill.errors import NotReadyError
from tidemill.stores.applied import AppliedReader
from tidemill.stores.file_lock import file_lock
from tidemill.stores.lake import Lake
from tidemill.stores.state import SqlState
from tidemill.streams import Position


class LakeWriter:
    """Appends applied events to the lake, in time or when enough wait.

    Two writers wait for each other. Killed anywhere, it repeats nothing and skips nothing: the lake itself knows the last offset it
    holds of each stream.

    Args:
        applied: the events, from the log, which outlives the lake's delay.
        state: how far the engine and the lake have come.
        lake: where they go.
    """

    def __init__(self, applied: AppliedReader, state: SqlState, lake: Lake) -> None:
        self._applied = applied
        self._state = state
        self._lake = lake
        self._last_s = time.monotonic()

    def step(self, every_s: float, every_events: int) -> int:
        """Flush when `every_s` seconds have passed since the last time, or `every_events` wait; answers how many events it moved."""
        if time.monotonic() - self._last_s < every_s and self.waiting() < every_events:
            return 0
        return self.flush(every_events)

    def flush(self, at_once: int = 50_000) -> int:
        """Move everything that waits, `at_once` events of the log an append; answers how many events."""
        moved = 0
        with file_lock(self._lake.lock_path):
            for batches, position in self._applied.after(self._state.lake_position(), at_once):
                for batch in batches:
                    self._lake.append(batch.stream.name, batch)
                    moved += len(batch)
                self._state.in_lake(position)
        self._last_s = time.monotonic()
        return moved

    def waiting(self) -> int:
        """How many events of the log wait at most; those among them that were not applied are counted too."""
        return _span(self._state.lake_position(), self._state.position())


def wait_for_lake(state: SqlState, timeout_s: float = 60.0, every_s: float = 0.1) -> None:
    """Wait until the lake holds everything that is applied now.

    Raises:
        NotReadyError: it does not by then; the engine that writes it may be down.
    """
    target = state.position()
    deadline_s = time.monotonic() + timeout_s
    while not state.lake_position().at_least(target):
        if time.monotonic() > deadline_s:
            raise NotReadyError(f"the lake is still behind after {timeout_s:.0f} s; is the engine running? Start it with `tidemill work`")
        time.sleep(every_s)


def _span(first: Position, last: Position) -> int:
    """By how many offsets two positions differ; streams of an embedded log share its offsets, so the widest counts."""
    wide = (sum(last.offset(stream, part) - first.offset(stream, part) for part in parts) for stream, parts in last.offsets.items())
    return max(wide, default=0)
