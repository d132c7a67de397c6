"""A bound on how often one caller asks: a bucket that fills at a steady rate and holds one second's worth."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_HELD = 4_096


class Rate:
    """The buckets of all callers of one process.

    Args:
        per_s: requests a second of one caller; None for no bound.
        clock_s: what time is measured by.

    >>> rate = Rate(2, clock_s=lambda: 0.0)
    >>> [rate.takes("ann") for _ in range(3)]
    [True, True, False]
    """

    def __init__(self, per_s: float | None, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock_s = clock_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller -> (left, when)

    def takes(self, caller: str) -> bool:
        """Whether one more request of a caller is within the rate; if so, it counts."""
        if self._per_s is None:
            return True
        most, now_s = max(1.0, self._per_s), self._clock_s()
        left, then_s = self._buckets.get(caller, (most, now_s))
        left = min(most, left + (now_s - then_s) * self._per_s)
        allowed = left >= 1
        self._buckets[caller] = (left - 1 if allowed else left, now_s)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > _MOST_HELD:
            self._buckets.popitem(last=False)
        return allowed
