"""Moving a position on: every partition by compare-and-set, so that several engines may share the partitions of a stream."""

from __future__ import annotations

from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.errors import ConflictError
from tidemill.streams.position import Mark, Position

_IDLE_MS = 7 * DAY_MS
_APART_MS = HOUR_MS  # what is read next of a partition may have become known before what was read last of another


def advanced(standing: Position, before: Position, after: Position) -> Position:
    """Where everybody stands once an engine that has read up to `before` goes on to `after`.

    Args:
        standing: how far each partition has come, whoever takes it.
        before: where the engine read from.
        after: how far it has come; partitions that it does not name are none of its own.

    Raises:
        ConflictError: one of its partitions no longer stands where it read from.

    >>> ours, theirs = {"taps": {"0": 7}}, {"taps": {"1": 5}}
    >>> advanced(Position({"taps": {"0": 7, "1": 9}}), Position(ours), Position({"taps": {"0": 8}})).token
    '{"taps":{"0":8,"1":9}}'
    >>> advanced(Position({"taps": {"0": 7, "1": 9}}), Position(theirs), Position({"taps": {"1": 6}}))
    Traceback (most recent call last):
    tidemill.errors.ConflictError: the position is no longer 5 in partition 1 of taps but 9: another engine has committed. ...
    """
    offsets: dict[str, dict[str, int]] = {name: dict(parts) for name, parts in standing.offsets.items()}
    marks: dict[str, dict[str, Mark]] = {name: dict(parts) for name, parts in standing.marks.items()}
    for name, parts in after.offsets.items():
        for part, offset in parts.items():
            stands, read = standing.offset(name, part), before.offset(name, part)
            if stands != read:
                what = f"the position is no longer {read} in partition {part} of {name} but {stands}"
                raise ConflictError(f"{what}: another engine has committed. Read it again, then go on from there")
            offsets.setdefault(name, {})[part] = offset
            if (mark := after.mark(name, part)) is not None:
                marks.setdefault(name, {})[part] = mark
    return Position(offsets, marks)


def slowest_ms(position: Position, known_at_ms: int) -> int:
    """Up to when everything is taken, as far as is known: what a partition that is behind still needs must not be dropped.

    Args:
        position: of all partitions.
        known_at_ms: of the newest event taken. A partition that seems to be more than a week behind is taken for one that nobody
            writes to.

    >>> slowest_ms(Position({"taps": {"0": 7, "1": 2}}, {"taps": {"1": Mark(known_at_ms=7_000_000, events=1)}}), 9_000_000)
    3400000
    """
    marked = [mark.known_at_ms for parts in position.marks.values() for mark in parts.values()]
    return max(min(marked, default=known_at_ms), known_at_ms - _IDLE_MS) - _APART_MS
