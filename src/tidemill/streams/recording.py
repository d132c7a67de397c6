"""A recording: what happened once, told again in order, so that a replay can be checked to the last event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event as a source would send it.

    Args:
        stream: the stream it belongs to.
        known_at_ms: when it became known, integer milliseconds since the epoch.
        payload: JSON text; it may be malformed, as a source's may.
    """

    stream: str
    known_at_ms: int
    payload: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One prediction request.

    Args:
        at_ms: when it was asked.
        model: the model's name.
        request: its fields, as JSON values.
    """

    at_ms: int
    model: str
    request: dict[str, object]


@dataclass(frozen=True, slots=True)
class Counts:
    """What the books of one stream must say after a recording has been replayed; nothing is pending then.

    >>> Counts(received=5, applied=2, duplicate=1, late=1, rejected=1) + Counts(received=1, applied=1)
    Counts(received=6, applied=3, duplicate=1, late=1, rejected=1)
    """

    received: int = 0
    applied: int = 0
    duplicate: int = 0
    late: int = 0
    rejected: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Both together, e.g. of several streams."""
        return Counts(
            received=self.received + other.received,
            applied=self.applied + other.applied,
            duplicate=self.duplicate + other.duplicate,
            late=self.late + other.late,
            rejected=self.rejected + other.rejected,
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """Events and requests on one clock. Each callable starts from the beginning, so a recording can be replayed again.

    Args:
        events: in `known_at` order over all streams.
        requests: in `at` order; a request at `t` may rely on every event with `known_at <= t`.
        expected: of each stream, what its books must say at the end.
        first_ms: the `known_at` of the first event.
        last_ms: the last moment of any event or request.

    >>> one = Recorded("taps", 1_000, '{"tap_id": "t1", "at": 1000}')
    >>> recording = Recording(lambda: iter([one]), lambda: iter([]), lambda: {"taps": Counts(received=1, applied=1)}, 1_000, 1_000)
    >>> [event.stream for event in recording.events()]
    ['taps']
    """

    events: Callable[[], Iterator[Recorded]]
    requests: Callable[[], Iterator[Asked]]
    expected: Callable[[], Mapping[str, Counts]]
    first_ms: int
    last_ms: int
