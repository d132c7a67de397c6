"""A position: how far into each partition of each stream one has come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidemill.errors import InputError
from tidemill.streams.log_offset import Ints, log_offset, offsets_of, partitions_of


class Mark(NamedTuple):
    """What a log wants to find again where a partition is read on.

    Args:
        known_at_ms: the last `known_at` of the events taken.
        events: how many were taken; offsets alone cannot tell where some hold no event.
    """

    known_at_ms: int
    events: int


@dataclass(frozen=True)
class Position:
    """`{stream: {partition: offset}}`, the offset being that of the last event taken; every lower one was taken too.

    Args:
        offsets: by stream and partition, whose name is a number.
        marks: by stream and partition, only from logs that need them. Two positions with the same offsets are equal.

    >>> Position({"departures": {"0": 7}}).token
    '{"departures":{"0":7}}'
    >>> Position({"taps": {"0": 7, "1": 2}}, {"taps": {"1": Mark(known_at_ms=50, events=1)}}).token
    '{"taps":{"0":7,"1":[2,50,1]}}'
    """

    offsets: Mapping[str, Mapping[str, int]]
    marks: Mapping[str, Mapping[str, Mark]] = field(default_factory=dict, compare=False)

    @cached_property
    def token(self) -> str:
        """The position as opaque text; positions that one log gives are equal exactly when their tokens are."""
        if not self.marks:
            return _text({name: dict(parts) for name, parts in self.offsets.items()})
        told = {
            name: {part: offset if (mark := self.mark(name, part)) is None else [offset, *mark] for part, offset in parts.items()}
            for name, parts in self.offsets.items()
        }
        return _text(told)

    @classmethod
    def from_token(cls, token: str) -> Position:
        """The position of a token.

        Raises:
            InputError: it is not one.
        """
        offsets: dict[str, dict[str, int]] = {}
        marks: dict[str, dict[str, Mark]] = {}
        try:
            for name, parts in json.loads(token).items():
                offsets[str(name)] = {part: int(told[0] if isinstance(told, list) else told) for part, told in parts.items()}
                if found := {part: Mark(int(told[1]), int(told[2])) for part, told in parts.items() if isinstance(told, list)}:
                    marks[str(name)] = found
        except (ValueError, AttributeError, TypeError, IndexError) as error:
            raise InputError(f"not a position: {token[:80]!r}", where="position") from error
        return cls(offsets, marks)

    def offset(self, stream: str, partition: str = "0") -> int:
        """The last offset taken of one partition; 0 before the first."""
        return self.offsets.get(stream, {}).get(partition, 0)

    def mark(self, stream: str, partition: str) -> Mark | None:
        """What the log has marked there; None for nothing."""
        return self.marks.get(stream, {}).get(partition)

    def at_least(self, other: Position) -> bool:
        """Whether this position has taken everything that `other` has."""
        return all(self.offset(name, part) >= offset for name, parts in other.offsets.items() for part, offset in parts.items())

    def up_to(self, other: Position) -> Position:
        """What both have taken.

        >>> Position({"taps": {"0": 7, "1": 2}}).up_to(Position({"taps": {"0": 5, "1": 9}}))
        Position(offsets={'taps': {'0': 5, '1': 2}}, marks={})
        """
        offsets: dict[str, dict[str, int]] = {}
        marks: dict[str, dict[str, Mark]] = {}
        for name, parts in self.offsets.items():
            for part, mine in parts.items():
                lower = self if mine <= other.offset(name, part) else other
                offsets.setdefault(name, {})[part] = lower.offset(name, part)
                if (mark := lower.mark(name, part)) is not None:
                    marks.setdefault(name, {})[part] = mark
        return Position(offsets, marks)

    def furthest(self, other: Position) -> Position:
        """What at least one of them has taken; without marks.

        >>> Position({"taps": {"0": 7, "1": 2}}).furthest(Position({"taps": {"0": 5, "1": 9}}))
        Position(offsets={'taps': {'0': 7, '1': 9}}, marks={})
        """
        offsets = {name: dict(parts) for name, parts in self.offsets.items()}
        for name, parts in other.offsets.items():
            for part, offset in parts.items():
                offsets.setdefault(name, {})[part] = max(offset, self.offset(name, part))
        return Position(offsets)

    def taken(self, stream: str, log_offsets: Ints) -> npt.NDArray[np.bool_]:
        """(n,) whether it has taken the events at these log offsets of a stream.

        >>> Position({"taps": {"0": 7, "1": 2}}).taken("taps", np.array([7, 8, log_offset("1", 2), log_offset("2", 1)]))
        array([ True, False,  True, False])
        """
        parts = self.offsets.get(stream, {})
        if not len(log_offsets) or parts.keys() <= {"0"}:  # of other partitions it has taken nothing, and theirs are all greater
            return np.asarray(log_offsets <= parts.get("0", 0))
        numbers = partitions_of(log_offsets)
        last = np.zeros(max(int(numbers.max()), *map(int, parts)) + 1, dtype=np.int64)
        for part, offset in parts.items():
            last[int(part)] = offset
        return np.asarray(offsets_of(log_offsets) <= last[numbers])

    def spans(self, stream: str) -> list[tuple[int, int]]:
        """By partition, between which log offsets lies what it has taken of a stream; both count.

        >>> Position({"taps": {"0": 7, "1": 0}}).spans("taps")
        [(1, 7)]
        """
        parts = sorted(self.offsets.get(stream, {}).items(), key=lambda item: int(item[0]))
        return [(log_offset(part, 1), log_offset(part, offset)) for part, offset in parts if offset]

    def last(self, stream: str) -> int:
        """The greatest log offset that it has taken of a stream; 0 for none."""
        return max((last for _, last in self.spans(stream)), default=0)


def lowest(positions: Iterable[Position]) -> Position:
    """What all of them have taken; there must be one."""
    first, *others = positions
    for other in others:
        first = first.up_to(other)
    return first


def _text(told: object) -> str:
    return json.dumps(told, sort_keys=True, separators=(",", ":"))
