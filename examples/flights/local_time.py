"""What a clock and a calendar in New York say at a moment: derived features, the same for one row and for a million."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS

Floats = npt.NDArray[np.float64]

_NEW_YORK = ZoneInfo("America/New_York")


def hour_of_day(scheduled_departure: Floats) -> Floats:
    """The hour with its fraction, 0 to 24, by the clock in New York.

    Args:
        scheduled_departure: (n,) float64 ms since the epoch.

    >>> hour_of_day(np.array([1_357_035_300_000.0]))  # 2013-01-01T10:15Z
    array([5.25])
    """
    return np.asarray(_wall_ms(scheduled_departure) % DAY_MS / HOUR_MS, dtype=np.float64)


def day_of_week(scheduled_departure: Floats) -> Floats:
    """0 for Monday to 6 for Sunday, in New York.

    >>> day_of_week(np.array([1_357_035_300_000.0]))
    array([1.])
    """
    # 1970-01-01 was a Thursday
    return np.asarray((_wall_ms(scheduled_departure) // DAY_MS + 3) % 7, dtype=np.float64)


def scheduled_minutes(scheduled_departure: Floats, scheduled_arrival: Floats) -> Floats:
    """How long the airline plans from gate to gate: the slack it leaves is news that the distance alone does not tell.

    >>> scheduled_minutes(np.array([0.0]), np.array([7_200_000.0]))
    array([120.])
    """
    return (scheduled_arrival - scheduled_departure) / MINUTE_MS


def _wall_ms(moments_ms: Floats) -> npt.NDArray[np.int64]:
    moments = moments_ms.astype(np.int64)
    # an offset holds for a whole UTC hour: ask once for each hour
    hours, places = np.unique(moments // HOUR_MS, return_inverse=True)
    offsets = np.array([_offset_ms(hour) for hour in hours.tolist()], dtype=np.int64)
    return np.asarray(moments + offsets[places], dtype=np.int64)


@lru_cache(maxsize=100_000)
def _offset_ms(hour: int) -> int:
    offset = datetime.fromtimestamp(hour * HOUR_MS / 1_000, tz=UTC).astimezone(_NEW_YORK).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() * 1_000)
