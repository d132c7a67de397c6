"""The naive twins: one loop over raw events says what every clever part must say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from tidemill.features import Expression, Feature
from tidemill.features.ddsketch import Quantile


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


Raw = tuple[int, str, float | str | None]  # an event's time, id and value


def naive_feature(feature: Feature, events: Sequence[Raw], at_ms: int) -> float | None:
    """A feature of one key's events, by a loop over all of them; a quantile and a distinct count are exact."""
    floor_ms = at_ms - at_ms % feature.bucket_ms
    held: list[tuple[int, bytes, float | str]] = []
    for time, event_id, value in events:
        if value is not None and floor_ms - feature.window_ms <= time < floor_ms + feature.bucket_ms:
            held.append((time, event_id.encode(), value))
    kind = feature.aggregate.kind.partition("[")[0]
    if kind == "distinct":
        return len({value for _, _, value in held})
    numbers = [float(value) for _, _, value in held]
    limit = {"sum": 1e289, "mean": 1e289, "variance": 1e144, "std": 1e144}.get(kind, math.inf)
    if any(abs(number) >= limit for number in numbers):
        return None
    if kind in ("first", "last"):
        return float((min if kind == "first" else max)(held)[2]) if held else None
    if isinstance(feature.aggregate, Quantile):
        return sorted(numbers)[math.floor(feature.aggregate.level * (len(numbers) - 1))] if numbers else None
    return naive_value(kind, numbers)


def tolerance(feature: Feature, values: Sequence[float]) -> float:
    """How far a value may be from the exact one: 1e-9 of the sum of |x| (of x² for a variance), or where float64 ends."""
    kind = feature.aggregate.kind.partition("[")[0]
    if kind in ("count", "min", "max", "first", "last") or (kind in ("sum", "mean") and all(_is_whole(value) for value in values)):
        return 0.0
    least = 1e-150 if kind == "std" else 1e-300  # a square of less is no number of full precision
    return least + 1e-9 * sum(value**2 if kind == "variance" else abs(value) for value in values)


def _is_whole(value: float) -> bool:
    return value.is_integer() and abs(value) < 2**40


Truth = bool | None


def _parts(expression: Expression) -> tuple[str, Any, Any]:
    return expression.operator, expression.left, expression.right


def naive_number(expression: Any, row: Mapping[str, Any]) -> float | None:
    """An expression of one event, number by number; None for null."""
    if not isinstance(expression, Expression):
        return float(expression)
    operator, left, right = _parts(expression)
    if operator == "col":
        return None if row[str(left)] is None else float(row[str(left)])
    if expression.is_condition:
        truth = naive_truth(expression, row)
        return None if truth is None else float(truth)
    if operator == "when":
        return naive_number(left, row) if naive_truth(right, row) else None
    a = naive_number(left, row)
    if operator in ("neg", "abs"):
        return None if a is None else -a if operator == "neg" else abs(a)
    b = naive_number(right, row)
    if operator == "if_null":
        return b if a is None else a
    return None if a is None or b is None else _of_two(operator, a, b)


def _of_two(operator: str, a: float, b: float) -> float | None:
    if operator == "/" and b == 0:
        return None
    result = {"+": a + b, "-": a - b, "*": a * b, "/": a / (b or 1), "least": min(a, b), "greatest": max(a, b)}[operator]
    return result if math.isfinite(result) else None


def naive_truth(expression: Expression, row: Mapping[str, Any]) -> Truth:
    """A condition of one event; None for null."""
    operator, left, right = _parts(expression)
    if operator == "col":
        return None if row[str(left)] is None else bool(row[str(left)])
    if operator == "not":
        inner = naive_truth(left, row)
        return None if inner is None else not inner
    if operator in ("and", "or"):
        both, decides = {naive_truth(left, row), naive_truth(right, row)}, operator == "or"
        return decides if decides in both else None if None in both else not decides
    if operator in ("among", "is_null") and left.operator == "col":
        text = row[str(left.left)]
        return text is None if operator == "is_null" else None if text is None else text in right
    a = naive_number(left, row)
    if operator == "is_null":
        return a is None
    if operator == "in":
        return None if a is None else a in right
    b = naive_number(right, row)
    if a is None or b is None:
        return None
    return {">=": a >= b, "<=": a <= b, ">": a > b, "<": a < b, "=": a == b, "<>": a != b}[operator]


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
