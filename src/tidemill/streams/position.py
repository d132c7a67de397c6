"""A position: how far into each partition of each stream one has come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.errors import InputError


@dataclass(frozen=True, slots=True)
class Position:
    """`{stream: {partition: offset}}`, the offset being that of the last event taken; every lower one was taken too.

    >>> Position({"departures": {"0": 7}}).token
    '{"departures":{"0":7}}'
    """

    offsets: Mapping[str, Mapping[str, int]]

    @property
    def token(self) -> str:
        """The position as opaque text; equal positions have equal tokens."""
        return json.dumps({name: dict(parts) for name, parts in self.offsets.items()}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_token(cls, token: str) -> Position:
        """The position of a token.

        Raises:
            InputError: it is not one.
        """
        try:
            return cls({str(name): {str(part): int(offset) for part, offset in parts.items()} for name, parts in json.loads(token).items()})
        except (ValueError, AttributeError, TypeError) as error:
            raise InputError(f"not a position: {token[:80]!r}", where="position") from error

    def offset(self, stream: str, partition: str = "0") -> int:
        """The last offset taken of one partition; 0 before the first."""
        return self.offsets.get(stream, {}).get(partition, 0)

    def at_least(self, other: Position) -> bool:
        """Whether this position has taken everything that `other` has."""
        return all(self.offset(name, part) >= offset for name, parts in other.offsets.items() for part, offset in parts.items())
