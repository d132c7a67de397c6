"""The log: where events wait in order, durable before anyone is told they were accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tidemill.streams.position import Position


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to append; `known_at_ms` only in a replay, else the append time."""

    stream: str
    payload: str
    known_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One event as the log holds it."""

    stream: str
    partition: str
    offset: int
    known_at_ms: int
    payload: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What the log knows of one stream: how many events it received, and how many of them lie after a position."""

    received: int
    pending: int


class Log(Protocol):
    """What every log promises; `tests/contracts` holds each to it."""

    def append(self, entries: Sequence[Entry], now_ms: int) -> Position:
        """Append all or nothing, in order, durable on return; answers the log's end.

        `known_at` never falls within a partition: an earlier clock is raised to the last one.

        Raises:
            InputError: an entry of a replay lies before the log's last `known_at`.
        """
        ...

    def read(self, after: Position, limit: int) -> tuple[list[Record], Position]:
        """At most `limit` records after a position, in order, and the position that has taken them."""
        ...

    def end(self) -> Position:
        """The position that has taken everything."""
        ...

    def tally(self, after: Position) -> Mapping[str, Tally]:
        """What each stream has received, and how much of it lies after a position; both at one moment, so that books can be checked."""
        ...
