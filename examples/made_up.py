"""Events that a generator makes up, as a recording: the same each time, none of them faulty, each known when it happens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tidemill import Asked, Counts, Recorded, Recording
from tidemill.clock import DAY_MS, to_utc

BEGIN_MS = 1_735_689_600_000  # 2025-01-01


@dataclass(frozen=True, slots=True)
class Happened:
    """One event: its stream, when it happened, ms since 1970, and its fields; `time` is the name of the field that says when."""

    stream: str
    at_ms: int
    time: str
    fields: dict[str, object]


def as_recording(happened: Sequence[Happened], asked: Sequence[Asked], days: int) -> Recording:
    """What lies before the end of the last day, in the order of time.

    >>> one = Happened("taps", BEGIN_MS, "at", {"tap_id": "t1"})
    >>> next(as_recording([one], [], days=1).events()).payload
    '{"tap_id": "t1", "at": "2025-01-01T00:00:00+00:00"}'
    """
    end_ms = BEGIN_MS + days * DAY_MS
    told = [
        Recorded(one.stream, one.at_ms, json.dumps({**one.fields, one.time: to_utc(one.at_ms).isoformat()}))
        for one in sorted(happened, key=lambda one: one.at_ms)
        if one.at_ms < end_ms
    ]
    questions = [one for one in sorted(asked, key=lambda one: one.at_ms) if one.at_ms < end_ms]
    counts = {name: Counts(received=n, applied=n) for name, n in Counter(event.stream for event in told).items()}
    last_ms = max([told[-1].known_at_ms, *(one.at_ms for one in questions[-1:])])
    return Recording(lambda: iter(told), lambda: iter(questions), lambda: counts, told[0].known_at_ms, last_ms)
