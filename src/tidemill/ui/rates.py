"""How fast events come in: differences of the books between two looks."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.clock import HOUR_MS, SECOND_MS

_LOOK_BACK_WALL_MS = 10 * SECOND_MS


@dataclass(frozen=True)
class Rate:
    """Events a wall second and events an hour of stream time; None where there is nothing to divide by yet."""

    per_wall_s: float | None = None
    per_stream_hour: float | None = None


@dataclass(frozen=True)
class _Look:
    wall_ms: int
    stream_ms: int
    received: Mapping[str, int]


class Rates:
    """Remembers the looks of the last 10 s of wall time.

    >>> rates = Rates()
    >>> rates.update(1_000, 3_600_000, {"taps": 0})["taps"]
    Rate(per_wall_s=None, per_stream_hour=None)
    >>> rates.update(3_000, 10_800_000, {"taps": 50})["taps"]
    Rate(per_wall_s=25.0, per_stream_hour=25.0)
    """

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque()

    def update(self, wall_ms: int, stream_ms: int, received: Mapping[str, int]) -> dict[str, Rate]:
        """Take a look in; the rate of each stream since the oldest look remembered."""
        self._looks.append(_Look(wall_ms, stream_ms, dict(received)))
        # Two looks stay, however old: a page opened after a pause still has something to compare with.
        while len(self._looks) > 2 and self._looks[1].wall_ms <= wall_ms - _LOOK_BACK_WALL_MS:
            self._looks.popleft()
        first, last = self._looks[0], self._looks[-1]
        return {name: _rate(last.received[name] - first.received.get(name, 0), first, last) for name in last.received}


def _rate(more: int, first: _Look, last: _Look) -> Rate:
    wall_ms, stream_ms = last.wall_ms - first.wall_ms, last.stream_ms - first.stream_ms
    # Before the first event stream time is 0, so the step to the first event is no span of time.
    return Rate(
        per_wall_s=more * SECOND_MS / wall_ms if wall_ms > 0 else None,
        per_stream_hour=more * HOUR_MS / stream_ms if stream_ms > 0 and first.stream_ms > 0 else None,
    )
