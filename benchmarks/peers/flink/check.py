"""Whether the aggregates that Flink produced are right, by adding the payments up again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from topics import records
from truth import amounts, is_right, payments_by_key

_CHECKED_KEYS = 100
_CHECKED_RECORDS = 300  # of a key: a busy one has a record for each of its many payments


def check(found: Mapping[str, Any], outputs: Mapping[str, str]) -> int:
    """Compare windows of some keys with the payments in them; answer how many records were produced.

    Args:
        found: the arguments of the run.
        outputs: by entity, the topic of its aggregates.

    Raises:
        SystemExit: a window is wrong, or a key missing.
    """
    produced = 0
    for entity, topic in outputs.items():
        by_key = payments_by_key(found["payments"], entity)
        sample = set(sorted(by_key)[:: max(1, len(by_key) // _CHECKED_KEYS)])
        seen: dict[str, int] = defaultdict(int)
        for key, value in records(found["bootstrap"], topic):
            produced += 1
            seen[key] += 1
            if key in sample and seen[key] <= _CHECKED_RECORDS:
                inside = amounts(by_key[key], value["start"], value["end"], inclusive=found["window"] == "over")
                if not is_right(value, inside):
                    raise SystemExit(f"{key}: produced {value}, the payments in it are {inside[:20]}")
        if seen.keys() != by_key.keys():
            raise SystemExit(f"the view by {entity} has aggregates of {len(seen)} keys instead of {len(by_key)}")
    return produced
