"""First, last, filters and several windows in the real stores: tiles and lake say what a loop over raw events says.

```
 taps ──log──► engine ──► tiles, read at t ────────► value
 taps ──lake──────────► the past, known by t ──────► the same value
 taps ──one loop over all of them──────────────────► the same value
```
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.property.naive import Raw, in_window, naive_feature, naive_number, tolerance
from tests.property.test_point_in_time import Asked, Known, lake_of, moments
from tests.unit.events.taps import T0, TAPS, entry, open_log
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.features import Feature, View, col, count, first, greatest, last, mean, share, sum_
from tidemill.learning.point_in_time import values_at
from tidemill.stores import Lookup, MappedState
from tidemill.streams import Engine

VIEW = View(
    "ends",
    TAPS,
    entity="line",
    where=(col("fare") > 0) | col("gate").equals("n"),
    features={
        "n": count(over=("10min", "1h")),
        "first_fare": first("fare", over="1h"),
        "last_fare": last("fare", over="1h"),
        "last_riders": last("riders", over="3h", where=col("gate").isin(["n", "\\"])),
        "dear": share((col("fare") >= 2) & ~col("riders").is_null(), over=("1h", "3h"), bucket="5min"),
        "sum": sum_(greatest(-col("fare"), abs(1 - col("riders"))), over="1h"),
        "mean": mean(2 / (col("fare") - 2), over="1h"),
    },
)

TIMES = st.sampled_from([T0 - HOUR_MS, T0 - 1, T0, T0 + 1, T0 + 30_000, T0 + 5 * MINUTE_MS]) | st.integers(T0 - 3 * HOUR_MS, T0 + HOUR_MS)
LINES = st.sampled_from(["a", "b", None])
TAP = st.builds(
    lambda at_ms, lag_ms, *rest: Known(at_ms, at_ms + lag_ms, *rest),
    TIMES,
    st.sampled_from([0, 1, MINUTE_MS, HOUR_MS]),
    LINES,
    st.sampled_from(["n", "\\", "q", None]),
    st.none() | st.sampled_from([1.0, 2.0, -2.0, 3.5]) | st.floats(-100, 100),
    st.none() | st.integers(0, 3),
)
HISTORIES = st.lists(TAP, max_size=30).map(lambda taps: sorted(taps, key=lambda tap: tap.known_at_ms))
TIED = [Known(T0, T0, "a", "n", float(number), number) for number in range(12)]  # t10 comes after t1 and before t2


@settings(max_examples=40)
@given(taps=HISTORIES, at_ms=st.lists(TIMES, min_size=1, max_size=4), limit=st.integers(1, 30))
@example(taps=[], at_ms=[T0], limit=1)
@example(taps=TIED, at_ms=[T0], limit=5)
def test_tiles_and_lake_give_the_naive_value(taps: list[Known], at_ms: list[int], limit: int) -> None:
    asked = [Asked(at, at, line, None) for at in at_ms for line in ("a", "b", None, "nobody")]
    values = values_at(VIEW, lake_of(taps), moments(asked), "known_at")
    for place, question in enumerate(asked):
        told = {name: float(values[VIEW.column(name)][place]) for name in VIEW.features}
        check(told, [tap for tap in taps if tap.known_at_ms <= question.known_up_to], taps, question)
    last_ms = max([T0, *(tap.known_at_ms for tap in taps)])
    for line, told in tiles(taps, limit, last_ms).items():
        check(told, taps, taps, Asked(last_ms, last_ms, line, None))


def tiles(taps: Sequence[Known], limit: int, at_ms: int) -> dict[str | None, dict[str, float]]:
    """What the store says of each line once the engine has taken every tap, at most `limit` at a time."""
    lines = ["a", "b", None, "nobody"]
    with tempfile.TemporaryDirectory() as folder:
        log = open_log(Path(folder))
        state = MappedState(Path(folder) / "state.db", [VIEW], {}, {"taps": VIEW.retention_ms})
        log.append([entry(name(tap, taps), tap.at_ms, tap.known_at_ms, **fields(tap)) for tap in taps], now_ms=0)
        Engine(log, state, [TAPS], {"taps": VIEW.retention_ms}).drain(limit)
        reading = state.tiles.read([Lookup(VIEW.name, lines)], at_ms)
        state.close()
        log.close()
    return {line: {one: float(reading.values[VIEW.column(one)][place]) for one in VIEW.features} for place, line in enumerate(lines)}


def name(tap: Known, taps: Sequence[Known]) -> str:
    """The id that `lake_of` gives a tap."""
    return f"t{next(place for place, one in enumerate(taps, 1) if one is tap)}"


def fields(tap: Known) -> dict[str, Any]:
    return {"line": tap.line, "gate": tap.gate, "fare": tap.fare, "riders": tap.riders}


def check(told: dict[str, float], known: Sequence[Known], taps: Sequence[Known], question: Asked) -> None:
    mine = [tap for tap in known if tap.line == question.line and tap.line is not None]
    for one, feature in VIEW.features.items():
        raw: list[Raw] = [(tap.at_ms, name(tap, taps), value_of(feature, tap)) for tap in mine]
        want = naive_feature(feature, raw, question.at_ms)
        near = tolerance(
            feature, in_window([(time, None if value is None else float(value)) for time, _, value in raw], feature, question.at_ms)
        )
        right = math.isnan(told[one]) if want is None else abs(told[one] - want) <= near
        assert right, f"{one} of {question}: {told[one]}, naive {want}"


def value_of(feature: Feature, tap: Known) -> float | None:
    """What a feature reads of a tap; what filters is said by hand."""
    if not ((tap.fare is not None and tap.fare > 0) or tap.gate == "n"):
        return None
    return naive_number(feature.expression, fields(tap))
