"""Positions in line: what each of many served vectors had taken, of a log with several partitions, as one whole number.

```
 partition 0:   e1   e2 │    e3 │ e4          position 0 has taken {0: 2, 1: 1}: e1, e2, f1
 partition 1:   f1      │ f2 f3 │             position 1 has taken {0: 3, 1: 3}: e3, f2, f3 too
                   position 0  position 1     so e2 has the number 0, f3 the number 1, e4 the number 2
```
One engine's positions stand in line: each has taken all that the one before has. A state that fell back to an older position, after a
machine went down, may have gone on otherwise; its positions then make a line of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tidemill.kernels import Ints
from tidemill.streams import Position
from tidemill.streams.log_offset import offsets_of, partitions_of


@dataclass(frozen=True)
class PositionLine:
    """m positions of one stream, each of which has taken all that the one before has.

    Args:
        ends: by the number of a partition, (m,) int64: the offset up to which each position has taken it.
    """

    ends: dict[int, Ints]

    def numbers(self, log_offsets: Ints) -> Ints:
        """(n,) int64, of each event the number of the first position that has taken it; m where none has.

        >>> line = PositionLine({0: np.array([2, 3]), 1: np.array([1, 3])})
        >>> line.numbers(np.array([2, 3, 4, (1 << 44) + 1, (1 << 44) + 3, 2 << 44]))
        array([0, 1, 2, 0, 1, 2])
        """
        partitions, offsets = partitions_of(log_offsets), offsets_of(log_offsets)
        numbers = np.full(len(log_offsets), max(map(len, self.ends.values()), default=0), dtype=np.int64)
        for partition, ends in self.ends.items():
            mine = partitions == partition
            numbers[mine] = np.searchsorted(ends, offsets[mine])
        return numbers


def in_lines(positions: Sequence[Position], stream: str) -> Iterator[tuple[Ints, Ints, PositionLine]]:
    """The lines that n positions stand in, as a rule one.

    Yields:
        (k,) which of the n positions stand in it, (k,) their numbers there, and the line.
    """
    distinct = {position.token: position for position in positions}
    lines: list[list[Position]] = []
    for position in sorted(distinct.values(), key=lambda one: sum(one.offsets.get(stream, {}).values())):
        line = next((line for line in lines if position.at_least(_of(line[-1], stream))), None)
        if line is None:
            lines.append([position])
        else:
            line.append(position)
    for line in lines:
        number = {position.token: place for place, position in enumerate(line)}
        which = [place for place, position in enumerate(positions) if position.token in number]
        partitions = {part for position in line for part in position.offsets.get(stream, {})}
        ends = {int(part): np.array([position.offset(stream, part) for position in line], dtype=np.int64) for part in partitions}
        yield np.array(which), np.array([number[positions[place].token] for place in which], dtype=np.int64), PositionLine(ends)


def _of(position: Position, stream: str) -> Position:
    return Position({stream: position.offsets.get(stream, {})})
