"""The payments of a file by key, and whether an aggregate of a window is what they add up to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

Paid = list[tuple[int, float]]  # when (ms) and how much


def payments_by_key(path: str, entity: str) -> dict[str, Paid]:
    """The payments of an NDJSON file, in order, by the keys of an entity."""
    found: dict[str, Paid] = defaultdict(list)
    with Path(path).open("rb") as lines:
        for payment in map(orjson.loads, lines):
            found[payment[entity]].append((payment["paid_at"], payment["amount"]))
    return found


def amounts(paid: Paid, start: int, end: int, *, inclusive: bool) -> list[float]:
    """What was paid in a window; `inclusive` says whether its end belongs to it.

    >>> amounts([(1, 5.0), (2, 7.0)], 1, 2, inclusive=False)
    [5.0]
    """
    return [amount for at, amount in paid if start <= at and (at <= end if inclusive else at < end)]


def is_right(value: Mapping[str, Any], inside: list[float]) -> bool:
    """Whether count, sum and max are those of the amounts.

    >>> is_right({"n": 2, "sum": 12.0, "max": 7.0}, [5.0, 7.0])
    True
    """
    return value["n"] == len(inside) and abs(value["sum"] - sum(inside)) < 1e-6 and value["max"] == max(inside)
