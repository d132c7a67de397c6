"""The naive twins: one loop over raw events says what every clever part must say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from tidemill.features import Feature


def in_window(events: Sequence[tuple[int, float | None]], feature: Feature, at_ms: int) -> list[float]:
    """The values, never null, of one key's (event time, value) that the feature's window holds at a time."""
    floor_ms = at_ms - at_ms % feature.bucket_ms
    return [v for t, v in events if v is not None and floor_ms - feature.window_ms <= t < floor_ms + feature.bucket_ms]


def naive_value(kind: str, values: Sequence[float]) -> float | None:
    """The aggregate of values, computed exactly and rounded once."""
    if kind == "count":
        return len(values)
    if len(values) < (2 if kind in ("variance", "std") else 1):
        return None
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / max(len(exact) - 1, 1)
    answer = {"sum": sum(exact), "mean": mean, "variance": variance, "std": variance, "min": min(exact), "max": max(exact)}[kind]
    return math.sqrt(answer) if kind == "std" else float(answer)


def naive_verdicts(records: Sequence[tuple[int, str, int | None]], retention_ms: int, max_ahead_ms: int) -> list[str]:
    """The verdict on each (known at, id, event time; None when malformed) in the order they became known."""
    verdicts: list[str] = []
    for known_at, event_id, time in records:
        earlier = [t for v, (_, i, t) in zip(verdicts, records, strict=False) if v == "applied" and i == event_id and t is not None]
        malformed = time is None or time > known_at + max_ahead_ms
        known = any(known_at <= t + retention_ms for t in earlier)
        late = time is not None and known_at - time > retention_ms
        verdicts.append("rejected" if malformed else "duplicate" if known else "late" if late else "applied")
    return verdicts
