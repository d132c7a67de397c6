"""A log that is read as one partition of several, for engines that share a stream."""

from __future__ import annotations

from pathlib import Path

from tests.unit.events.taps import TAPS
from tidemill.stores import Databases, SqlLog
from tidemill.streams import Position, Records


class Part(SqlLog):
    """A log of taps in a folder whose only partition goes by another name; an engine that reads it knows of no other."""

    def __init__(self, home: Path, name: str) -> None:
        super().__init__(Databases(home / name), [TAPS.name])
        self._name = name

    def read(self, after: Position, limit: int, until: Position | None = None) -> tuple[Records, Position]:
        """See `tidemill.streams.Log`."""
        records, end = super().read(self._inside(after), limit, None if until is None else self._inside(until))
        named = [(record.stream, self._name, record.offset, record.known_at_ms, record.payload) for record in records]
        return Records.of(named), Position({TAPS.name: {self._name: end.offset(TAPS.name)}})

    def _inside(self, position: Position) -> Position:
        return Position({TAPS.name: {"0": position.offset(TAPS.name, self._name)}})
