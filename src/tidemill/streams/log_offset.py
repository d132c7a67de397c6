"""Log offsets: one whole number that tells the events of a stream apart, made of partition and offset.

```
 bit 63   62 .............. 44   43 ............................ 0
    0     number of the partition   offset within the partition
```
Of partition "0", the only one of an embedded log, it is the offset itself. So it orders the events of one partition, and of several
partition by partition: not by time. Tables and lakes hold it; where order matters, they ask a `Position` or `known_at`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

OFFSET_BITS = 44  # 17 million million events in each of half a million partitions
MAX_OFFSET = (1 << OFFSET_BITS) - 1

Ints = npt.NDArray[np.int64]


def log_offset(partition: str, offset: int) -> int:
    """The log offset of one event.

    >>> log_offset("0", 7), log_offset("3", 7) == 3 * 2**44 + 7
    (7, True)
    """
    return int(partition) << OFFSET_BITS | offset


def log_offsets(partitions: Sequence[str], offsets: Sequence[int]) -> Ints:
    """(n,) int64, the log offsets of n events."""
    own = np.array(offsets, dtype=np.int64)
    if partitions.count("0") == len(partitions):
        return own
    return np.array(partitions, dtype=np.int64) << OFFSET_BITS | own


def partition_of(log_offset: int) -> str:
    """The partition of a log offset.

    >>> partition_of(log_offset("3", 7))
    '3'
    """
    return str(log_offset >> OFFSET_BITS)


def place_text(log_offset: int) -> str:
    """A log offset for people: the offset, with the partition before it where there may be several.

    >>> place_text(7), place_text(log_offset("3", 7))
    ('7', '3:7')
    """
    partition, offset = partition_of(log_offset), log_offset & MAX_OFFSET
    return str(offset) if partition == "0" else f"{partition}:{offset}"


def partitions_of(log_offsets: Ints) -> Ints:
    """(n,) int64, the number of the partition of each."""
    return log_offsets >> OFFSET_BITS


def offsets_of(log_offsets: Ints) -> Ints:
    """(n,) int64, the offset within its partition of each."""
    return log_offsets & MAX_OFFSET
