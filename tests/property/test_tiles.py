"""Tiles against a naive scan: any order, any batches, any restart of the merge give the naive value.

```
 events, shuffled  ──split──►  batches ──lift, merge──► tiles ──merge──► tiles of all ──values_of_tiles─► value
 events            ─────────────────────── one loop over all of them ─────────────────────────────────► the same value
```
"""

from __future__ import annotations

import json
import math
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.property.naive import in_window, naive_value, naive_verdicts
from tests.property.tile_values import merge_groups, values_of_tiles
from tests.unit.events.taps import RETENTION_MS, T0, TAPS, VIEWS, batch_of, entry, make_engine, open_log, open_state
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.features import (
    Expression,
    Feature,
    Layout,
    View,
    count,
    floor_ms,
)
from tidemill.kernels import Floats
from tidemill.stores import Lookup

Tap = dict[str, Any]

# Edges of buckets and windows, and the milliseconds beside them, are where a window goes wrong.
EDGES = sorted(
    {T0 + hours * HOUR_MS + minutes * MINUTE_MS + ms for hours in range(-4, 2) for minutes in (0, 1, 5, 15) for ms in (-1, 0, 1)}
)
TIMES = st.sampled_from(EDGES) | st.integers(T0 - 4 * HOUR_MS, T0 + HOUR_MS)
FARES = st.none() | st.floats(-100, 100) | st.sampled_from([0.0, -0.0, 2.0, 1e15, -1e15, 1e-300, 1e100])
TAP = st.fixed_dictionaries(
    {
        "at": TIMES,
        "line": st.sampled_from(["a", "b", "a,b", "", None]),
        "gate": st.sampled_from(["a", "b,a", "\\", None]),
        "fare": FARES,
        "riders": st.none() | st.integers(-(2**31), 2**31),
    }
)
TAP_LISTS = st.lists(TAP, max_size=40)


def key_of(view: View, tap: Tap) -> tuple[str, ...] | None:
    parts = [tap[name] for name in view.entity_fields]
    return None if None in parts else tuple(parts)


def raw_value(expression: Expression | None, tap: Tap) -> float | None:
    """What a feature reads of one tap, by hand."""
    if expression is None:
        return 1.0
    if expression.operator == "col":
        value = tap[str(expression.left)]
        return None if value is None else float(value)
    return None if tap["fare"] is None else float(tap["fare"] >= 2)


def check(feature: Feature, got: float, rows: Sequence[tuple[int, float | None]], at_ms: int, said: str) -> None:
    """Equal: exactly for counts, extremes and whole numbers, else within 1e-9 of the sum of |x| (of x² for a variance)."""
    values = in_window(rows, feature, at_ms)
    kind, want = feature.aggregate.kind, naive_value(feature.aggregate.kind, values)
    if want is None:
        assert math.isnan(got), f"{said}: {got}, but there are too few values"
    else:
        assert abs(got - want) <= slack(kind, values), f"{said}: {got}, naive {want}"


def slack(kind: str, values: Sequence[float]) -> float:
    """How far a value may be from the exact one."""
    whole = all(value.is_integer() and abs(value) < 2**40 for value in values)
    if kind in ("count", "min", "max") or (whole and kind in ("sum", "mean")):
        return 0.0
    return 1e-9 * sum(value**2 if kind == "variance" else abs(value) for value in values)


def tiles_of(view: View, size_ms: int, layout: Layout, taps: Sequence[Tap]) -> dict[tuple[str, int], Floats]:
    """The tiles that one batch makes by itself."""
    batch = batch_of([json.dumps({"tap_id": "t", **tap}) for tap in taps])
    columns = batch.columns(view.fields_read.union(view.entity_fields))
    groups = [(key, floor_ms(tap["at"], size_ms)) for key, tap in zip(view.keys(columns), taps, strict=True)]
    kept = [place for place, (key, _) in enumerate(groups) if key is not None]
    lifted = layout.lift(columns, batch.event_time_ms, batch.event_ids)
    return merge_groups(layout, lifted[kept], [(str(groups[place][0]), groups[place][1]) for place in kept])


def merged(layout: Layout, parts: Sequence[dict[tuple[str, int], Floats]]) -> dict[tuple[str, int], Floats]:
    states = [state for part in parts for state in part.values()]
    return merge_groups(layout, np.array(states).reshape(-1, layout.width), [group for part in parts for group in part])


@given(taps=TAP_LISTS, rng=st.randoms(use_true_random=False), n_batches=st.integers(1, 5), at_ms=TIMES, view=st.sampled_from(VIEWS))
def test_any_order_and_any_batching_gives_the_naive_value(
    taps: list[Tap], rng: random.Random, n_batches: int, at_ms: int, view: View
) -> None:
    shuffled = rng.sample(taps, len(taps))
    batches = [batch for place in range(n_batches) if (batch := shuffled[place::n_batches])]
    for size_ms, layout in view.layouts.items():
        parts = [tiles_of(view, size_ms, layout, batch) for batch in batches]
        tiles = merged(layout, [merged(layout, parts[:2]), *parts[2:]])  # a merge of merges
        for key, name in {(key_of(view, tap), view.keys(_column_of(view, tap))[0]) for tap in taps} - {(None, None)}:
            mine = {start: state for (owner, start), state in tiles.items() if owner == name}
            features = {name: feature for name, feature in view.features.items() if feature.bucket_ms == size_ms}
            for feature_name, got in values_of_tiles(layout, features, mine, at_ms).items():
                feature = features[feature_name]
                raw = [(tap["at"], raw_value(feature.expression, tap)) for tap in taps if key_of(view, tap) == key]
                check(feature, got, raw, at_ms, f"{view.name}.{feature_name} of {key} at {at_ms - T0}")


def _column_of(view: View, tap: Tap) -> dict[str, Any]:
    return {name: np.array([tap[name]], dtype=object) for name in view.entity_fields}


def test_composite_keys_never_meet() -> None:
    """(`a,b`, `a`) and (`a`, `b,a`) are two entities, and so are a backslash and what escapes it."""
    parts = ["a", "b", "a,b", "b,a", "\\", "\\,", ",", "", "a\\", "\\a"]
    pairs = [(left, right) for left in parts for right in parts]
    columns = {"line": np.array([left for left, _ in pairs], dtype=object), "gate": np.array([right for _, right in pairs], dtype=object)}
    assert len(set(VIEWS[1].keys(columns))) == len(pairs)


# Short pauses and lags, so that several commits meet in one tile, and long ones, so that some are late.
PAUSES = st.sampled_from([0, 1, MINUTE_MS]) | st.integers(0, 2 * HOUR_MS)
LAGS = st.sampled_from([0, 1, MINUTE_MS]) | st.integers(-4 * MINUTE_MS, RETENTION_MS["taps"] + HOUR_MS)
ARRIVALS = st.lists(st.tuples(TAP, PAUSES, LAGS, st.integers(0, 30)), min_size=1, max_size=25)
ONE: Tap = {"at": T0, "line": "a", "gate": "a", "fare": 2.5, "riders": 3}


@settings(max_examples=15)
@given(arrivals=ARRIVALS, limit=st.integers(1, 30), ahead_ms=st.integers(0, HOUR_MS))
@example(arrivals=[(ONE, 0, 0, 1), ({**ONE, "fare": 4.5}, 1, 0, 2), ({**ONE, "fare": -1.0}, 1, 0, 3)], limit=1, ahead_ms=1)  # one tile
def test_the_store_gives_the_naive_value_with_duplicates_and_late_events(
    arrivals: list[tuple[Tap, int, int, int]], limit: int, ahead_ms: int
) -> None:
    known_at_ms, entries, records, taps = T0, [], [], []
    for tap, pause_ms, lag_ms, number in arrivals:
        known_at_ms += pause_ms
        at_ms = known_at_ms - lag_ms
        entries.append(entry(f"t{number}", at_ms, known_at_ms, **{name: value for name, value in tap.items() if name != "at"}))
        records.append((known_at_ms, f"t{number}", at_ms))
        taps.append({**tap, "at": at_ms})
    verdicts = naive_verdicts(records, RETENTION_MS["taps"], TAPS.max_ahead_ms)
    applied = [tap for tap, verdict in zip(taps, verdicts, strict=True) if verdict == "applied"]
    with tempfile.TemporaryDirectory() as folder:
        log, state = open_log(Path(folder)), open_state(Path(folder))
        log.append(entries, now_ms=0)
        make_engine(log, state).drain(limit)
        at_ms = known_at_ms + ahead_ms
        for view in VIEWS:
            names = {key_of(view, tap): view.keys(_column_of(view, tap))[0] for tap in taps} | {None: None}
            reading = state.tiles.read([Lookup(view.name, [*names.values(), "nobody"])], at_ms)
            for feature_name, feature in view.features.items():
                values = reading.values[view.column(feature_name)]
                for key, got in zip([*names, ("nobody",)], values, strict=True):
                    raw = [
                        (tap["at"], raw_value(feature.expression, tap)) for tap in applied if key is not None and key_of(view, tap) == key
                    ]
                    check(feature, got, raw, at_ms, f"{view.name}.{feature_name} of {key}")
        state.close()
        log.close()


def test_the_naive_twin_is_right_where_the_value_is_plain() -> None:
    rows: list[tuple[int, float | None]] = [(T0, 1.0), (T0 + 1, 3.0), (T0, None), (T0 - HOUR_MS, 5.0)]
    rows += [(T0 - HOUR_MS - 1, 100.0), (T0 + MINUTE_MS, 100.0)]
    values = in_window(rows, count(over="1h"), T0 + 30_000)
    assert values == [1.0, 3.0, 5.0]
    kinds = ("count", "sum", "mean", "variance", "std", "min", "max")
    assert [naive_value(kind, values) for kind in kinds] == [3, 9, 3, 4, 2, 1, 5]
    assert [naive_value(kind, []) for kind in kinds] == [0, None, None, None, None, None, None]
