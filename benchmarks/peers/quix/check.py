"""Whether the aggregates that Quix produced are right, by adding the payments up again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from topics import records
from truth import Paid, amounts, is_right, payments_by_key

Window = tuple[int, int]  # its start and end, ms
_CHECKED_KEYS = 100


def check(found: Mapping[str, Any], outputs: Mapping[str, str], *, exact: bool) -> int:
    """Compare the last value of every window of some keys with the payments in it; answer how many records were produced.

    Args:
        found: the arguments of the run.
        outputs: by entity, the topic of its aggregates.
        exact: False where windows have dropped late payments: then they must not hold more than there are.

    Raises:
        SystemExit: a window is wrong, or a key missing where every change is produced.
    """
    produced = 0
    for entity, topic in outputs.items():
        by_key = payments_by_key(found["payments"], entity)
        latest: dict[str, dict[Window, dict[str, Any]]] = defaultdict(dict)
        for key, value in records(found["bootstrap"], topic):
            produced += 1
            for window in value.get("windows", [value]):
                latest[key][window["start"], window["end"]] = window
        if found["emit"] == "current" and exact and latest.keys() != by_key.keys():
            raise SystemExit(f"the view by {entity} has aggregates of {len(latest)} keys instead of {len(by_key)}")
        for key in sorted(latest)[:: max(1, len(latest) // _CHECKED_KEYS)]:
            compare(key, latest[key], by_key[key], exact=exact, inclusive=found["window"] == "sliding")
    return produced


def compare(key: str, windows: Mapping[Window, Mapping[str, Any]], own: Paid, *, exact: bool, inclusive: bool) -> None:
    """Every window of a key holds just its payments; a sliding window includes its end."""
    for (start, end), value in windows.items():
        inside = amounts(own, start, end, inclusive=inclusive)
        if not is_right(value, inside) and (exact or value["n"] > len(inside)):
            raise SystemExit(f"{key}, {start} to {end}: produced {value}, the payments in it are {inside[:20]}")
