"""What goes wrong on the way: copies, delays and broken events, planned with a fixed seed so that every count is known before.

Each fault touches a row of its own, so what the engine must answer follows from the plan:

```
              original   known again   the books say
original      applied
DELAYED       applied                  applied: late, but within the stream's retention
DUPLICATE     applied    same id       duplicate: within retention; half of them with another payload
LATE_COPY     applied    fresh id      late: past retention
MALFORMED     applied    broken        rejected, see `spoil`
```
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, to_utc
from tidemill.streams.recording import Counts

IntArray = npt.NDArray[np.int64]

ORIGINAL, DELAYED, DUPLICATE, LATE_COPY, MALFORMED = range(5)
SPOILS = ("truncated", "wrong_type", "no_event_time", "nan", "future")


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of a stream's events. Half of `late` are delayed originals, half copies past retention."""

    duplicate: float = 0.01
    malformed: float = 0.001
    late: float = 0.01


NONE = Faults(duplicate=0.0, malformed=0.0, late=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """When each event of a stream happened, became known, and had to be known at the latest; (n,) int64 ms each."""

    event_time_ms: IntArray
    known_at_ms: IntArray
    needed_by_ms: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is sent: of which row, when, and how; (m,) each, in `known_at` order.

    Args:
        row: the row of the stream's table.
        known_at_ms: when it becomes known.
        kind: ORIGINAL, DELAYED, DUPLICATE, LATE_COPY or MALFORMED.
    """

    row: IntArray
    known_at_ms: IntArray
    kind: npt.NDArray[np.int8]

    def before(self, end_ms: int) -> Plan:
        """Only what is known before a moment; a copy never precedes its original, so the counts stay right."""
        return self._take(self.known_at_ms < end_ms)

    def counts(self) -> Counts:
        """What the books must say."""
        of_kind = np.bincount(self.kind, minlength=5)
        return Counts(
            received=len(self.kind),
            applied=int(of_kind[ORIGINAL] + of_kind[DELAYED]),
            duplicate=int(of_kind[DUPLICATE]),
            late=int(of_kind[LATE_COPY]),
            rejected=int(of_kind[MALFORMED]),
        )

    def _take(self, which: npt.NDArray[np.bool_]) -> Plan:
        return Plan(self.row[which], self.known_at_ms[which], self.kind[which])


def plan_faults(times: Times, faults: Faults, retention_ms: int, rng: np.random.Generator) -> Plan:
    """Originals and faults of one stream.

    Args:
        times: of the stream's events.
        faults: which share goes wrong.
        retention_ms: of the stream; duplicates and delays stay within, late copies lie past it.
        rng: the same generator state gives the same plan.

    >>> t = np.arange(1000) * 60_000
    >>> plan = plan_faults(Times(t, t, t + 3_600_000), Faults(), 86_400_000, np.random.default_rng(7))
    >>> plan.counts()
    Counts(received=1016, applied=1000, duplicate=10, late=5, rejected=1)
    """
    rows = rng.permutation(len(times.known_at_ms))
    duplicate, malformed, late = (round(len(rows) * share) for share in (faults.duplicate, faults.malformed, faults.late))
    copied, broken, appended, rest = np.split(rows, np.cumsum([duplicate, malformed, late - late // 2]))
    kept_until = times.event_time_ms + retention_ms
    delay_room = np.minimum(kept_until, times.needed_by_ms) - times.known_at_ms
    delayed = rest[delay_room[rest] > 2 * MINUTE_MS][: late // 2]
    known_at = times.known_at_ms.copy()
    known_at[delayed] += _spread(delay_room[delayed], rng)
    kind = np.full(len(rows), ORIGINAL, dtype=np.int8)
    kind[delayed] = DELAYED
    copies = [
        (copied, known_at[copied] + _spread(kept_until[copied] - known_at[copied], rng), DUPLICATE),
        (broken, known_at[broken] + _spread(np.full(malformed, HOUR_MS), rng), MALFORMED),
        (appended, kept_until[appended] + _spread(np.full(len(appended), DAY_MS), rng), LATE_COPY),
    ]
    return _in_order(known_at, kind, copies)


def spoil(payload: str, how: str, *, event_time: str, number: str, known_at_ms: int) -> str:
    """A broken copy of an event.

    Args:
        payload: a JSON object as text.
        how: one of `SPOILS`.
        event_time: the name of the field that says when it happened.
        number: the name of a field that must be a number.
        known_at_ms: when the copy becomes known, to lie in its future.

    >>> spoil('{"at": "2013-01-01T00:00:00Z", "delay": 3}', "nan", event_time="at", number="delay", known_at_ms=0)
    '{"at": "2013-01-01T00:00:00Z", "delay": NaN}'
    """
    if how == "truncated":
        return payload[: len(payload) // 2]
    fields = json.loads(payload)
    if how == "no_event_time":
        del fields[event_time]
    elif how == "future":
        fields[event_time] = to_utc(known_at_ms + DAY_MS).isoformat()
    else:
        fields[number] = float("nan") if how == "nan" else "many"
    return json.dumps(fields)


def _spread(room_ms: IntArray, rng: np.random.Generator) -> IntArray:
    # most delays short, a few as long as there is room: log-uniform from 1 s, so that a copy never shares its original's moment
    exponent = rng.random(len(room_ms))
    return np.minimum(SECOND_MS * (room_ms / SECOND_MS) ** exponent, room_ms).astype(np.int64)


def _in_order(known_at: IntArray, kind: npt.NDArray[np.int8], copies: list[tuple[IntArray, IntArray, int]]) -> Plan:
    row = np.concatenate([np.arange(len(known_at)), *(rows for rows, _, _ in copies)])
    all_known_at = np.concatenate([known_at, *(moments for _, moments, _ in copies)])
    all_kinds = np.concatenate([kind, *(np.full(len(rows), of_kind, dtype=np.int8) for rows, _, of_kind in copies)])
    order = np.lexsort((all_kinds, row, all_known_at))
    return Plan(row[order], all_known_at[order], all_kinds[order])
