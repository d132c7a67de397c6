"""Values of the past against a nested loop, and against what the tiles said when the same events were replayed.

```
 events, each known some time after it happened ──lake──► DuckDB, at (t, known up to k) ──► value
 events ──── for every question one loop over all of them ────────────────────────────────► the same value
 events ──one by one──► engine ──► tiles, read at t just before the next is known ────────► the same value
```
Where a window holds more events than it has tiles, DuckDB's events are summed up into tiles first; `hot` below has such windows, and
small blocks cut its events anywhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.property.naive import in_window, naive_feature, naive_value, tolerance
from tests.property.test_tiles import slack
from tests.unit.events.taps import BY_LINE, BY_LINE_AND_GATE, RETENTION_MS, T0, TAPS, VIEWS, entry, make_engine, open_log, open_state
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.features import View, col, count, distinct, first, last, mean, quantile, std, sum_
from tidemill.learning import Clock, Moments, values_at
from tidemill.learning.lake_sql import DEFAULT_LIMITS, Limits
from tidemill.learning.position_line import in_lines
from tidemill.stores import Lookup, SqlState
from tidemill.stores.lake import lake_schema
from tidemill.streams import Position, log_offset


@dataclass(frozen=True)
class Known:
    """A tap with when it became known; its place in a list + 1 is its offset."""

    at_ms: int
    known_at_ms: int
    line: str | None
    gate: str | None
    fare: float | None
    riders: int | None


@dataclass(frozen=True)
class Asked:
    """A question: of whom, about which time, knowing how much."""

    at_ms: int
    known_up_to: int
    line: str | None
    gate: str | None


# Ties, edges of buckets and the milliseconds beside them; one line is hot, and some are missing.
MOMENTS = st.integers(-8, 8).map(lambda half: T0 + half * HOUR_MS // 2) | st.sampled_from([T0 - 1, T0, T0 + 1, T0 + 5 * MINUTE_MS])
LINES = st.sampled_from(["hot", "hot", "hot", "b", "a,b", "", None])
GATES = st.sampled_from(["n", "b,a", "\\", None])
KNOWN = st.builds(
    lambda at_ms, lag_ms, *rest: Known(at_ms, at_ms + lag_ms, *rest),
    MOMENTS,
    st.sampled_from([0, 1, MINUTE_MS, HOUR_MS, 5 * HOUR_MS, -MINUTE_MS]),
    LINES,
    GATES,
    st.none() | st.sampled_from([0.0, 1.5, 2.0, -3.0, 1e9]) | st.floats(-100, 100),
    st.none() | st.integers(-3, 9),
)
HISTORIES = st.lists(KNOWN, max_size=40).map(lambda taps: sorted(taps, key=lambda tap: tap.known_at_ms))
TIMES = st.lists(st.tuples(MOMENTS, st.integers(0, 30), LINES, GATES), min_size=1, max_size=12)


LIMITS = st.builds(Limits, memory_mb=st.just(200), threads=st.integers(1, 3), block_events=st.integers(1, 30))


@settings(max_examples=60)
@given(taps=HISTORIES, times=TIMES, view=st.sampled_from(VIEWS), limits=LIMITS)
@example(taps=[], times=[(T0, 0, "hot", "n"), (T0, 0, None, None)], view=BY_LINE, limits=DEFAULT_LIMITS)
@example(taps=[Known(T0, T0, "hot", "n", 1.0, 1)] * 3, times=[(T0, 0, "hot", "n")] * 3, view=BY_LINE_AND_GATE, limits=DEFAULT_LIMITS)
@example(
    taps=[Known(T0, T0 + 1, "hot", "n", 1.0, 1)], times=[(T0, 0, "hot", "n"), (T0 + 1, 0, "hot", "n")], view=BY_LINE, limits=DEFAULT_LIMITS
)
def test_values_known_by_then_are_those_of_a_nested_loop(
    taps: list[Known], times: list[tuple[int, int, Any, Any]], view: View, limits: Limits
) -> None:
    asked = [Asked(at_ms, at_ms, line, gate) for at_ms, _, line, gate in times]
    compare(view, taps, asked, "known_at", limits)


@settings(max_examples=60)
@given(taps=HISTORIES, times=TIMES, view=st.sampled_from(VIEWS), limits=LIMITS)
def test_values_at_a_position_are_those_of_a_nested_loop(
    taps: list[Known], times: list[tuple[int, int, Any, Any]], view: View, limits: Limits
) -> None:
    asked = [Asked(at_ms, offset, line, gate) for at_ms, offset, line, gate in times]
    compare(view, taps, asked, "offset", limits)


@settings(max_examples=40)
@given(
    taps=HISTORIES,
    parts=st.lists(st.integers(0, 3), min_size=40, max_size=40),
    times=TIMES,
    ends=st.lists(st.lists(st.integers(0, 12), min_size=4, max_size=4), min_size=12, max_size=12),
    view=st.sampled_from(VIEWS),
)
def test_values_at_positions_in_partitions_are_those_of_a_nested_loop(
    taps: list[Known], parts: list[int], times: list[tuple[int, int, Any, Any]], ends: list[list[int]], view: View
) -> None:
    places = [log_offset(str(part), 1 + parts[:place].count(part)) for place, part in enumerate(parts[: len(taps)])]
    asked = [Asked(at_ms, 0, line, gate) for at_ms, _, line, gate in times]
    positions = [Position({"taps": dict(zip("0123", end, strict=True))}) for end in ends[: len(asked)]]
    met = list[int]()
    for which, numbers, line in in_lines(positions, "taps"):
        met += which.tolist()
        mine = [asked[place] for place in which.tolist()]
        values = values_at(view, lake_of(taps, places), replace(moments(mine), known_up_to=numbers), line)
        for row, place in enumerate(which.tolist()):
            taken = positions[place].taken("taps", np.array(places, dtype=np.int64)).tolist()
            told = [tap for tap, has in zip(taps, taken, strict=True) if has and same_entity(view, tap, mine[row])]
            for name, feature in view.features.items():
                held = in_window([(tap.at_ms, raw(view, name, tap)) for tap in told], feature, mine[row].at_ms)
                check_value(values[view.column(name)][row], held, feature.aggregate.kind, f"{name} of {mine[row]}")
    assert sorted(met) == list(range(len(asked)))


def known(taps: Sequence[Known], question: Asked, clock: Clock) -> list[tuple[int, Known]]:
    """What a question knows: the taps with their offsets."""
    upto = question.known_up_to
    return [(offset, tap) for offset, tap in enumerate(taps, 1) if (tap.known_at_ms if clock == "known_at" else offset) <= upto]


def compare(view: View, taps: Sequence[Known], asked: Sequence[Asked], clock: Clock, limits: Limits) -> None:
    """The answer to every question against the loop's."""
    values = values_at(view, lake_of(taps), moments(asked), clock, limits)
    assert list(values) == view.feature_columns
    for name, feature in view.features.items():
        got = values[view.column(name)]
        for question, value in zip(asked, got, strict=True):
            mine = [(tap.at_ms, raw(view, name, tap)) for _, tap in known(taps, question, clock) if same_entity(view, tap, question)]
            held = in_window(mine, feature, question.at_ms)
            check_value(value, held, feature.aggregate.kind, f"{name} of {question}")


def check_value(value: float, held: list[float], kind: str, what: str) -> None:
    """One value against the loop's."""
    want = naive_value(kind, held)
    if want is None:
        assert np.isnan(value), f"{what}: {value}, but there are too few values"
    else:
        assert abs(value - want) <= slack(kind, held), f"{what}: {value}, naive {want}"


OF_ALL_KINDS = View(
    "of_all_kinds",
    TAPS,
    entity="line",
    where=col("gate").differs("n"),
    features={
        "n": count(over="5min", bucket="5min"),
        "first_fare": first("fare", over="1h"),
        "last_fare": last("fare", over="2h", bucket="1h"),
        "last_riders": last("riders", over="5min", bucket="5min"),
        "gates": distinct("gate", over="3h", bucket="1h"),
        "median": quantile("fare", 0.5, over="3h", bucket="1h"),
        "half": mean(col("fare") / 2, over="1h", bucket="1h"),
    },
)


@settings(max_examples=60)
@given(taps=HISTORIES, times=TIMES, limits=LIMITS)
def test_ends_sketches_and_filters_are_those_of_a_nested_loop(
    taps: list[Known], times: list[tuple[int, int, Any, Any]], limits: Limits
) -> None:
    asked = [Asked(at_ms, at_ms, line, gate) for at_ms, _, line, gate in times]
    values = values_at(OF_ALL_KINDS, lake_of(taps), moments(asked), "known_at", limits)
    reads: dict[str, Callable[[Known], Any]] = {
        "n": lambda _tap: 1.0,
        "gates": lambda tap: tap.gate,
        "last_riders": lambda tap: tap.riders,
        "half": lambda tap: None if tap.fare is None else tap.fare / 2,
    }
    for name, feature in OF_ALL_KINDS.features.items():
        read = reads.get(name, fare_of)
        for question, value in zip(asked, values[OF_ALL_KINDS.column(name)], strict=True):
            mine = [
                (tap.at_ms, f"t{offset}", read(tap))
                for offset, tap in known(taps, question, "known_at")
                if same_entity(OF_ALL_KINDS, tap, question) and tap.gate not in ("n", None)
            ]
            want = naive_feature(feature, mine, question.at_ms)
            numbers = [abs(number) for _, _, number in mine if isinstance(number, float)]
            rough = 0.01 * (1 + 1e-9) * max(numbers, default=0.0) + np.finfo(np.float64).tiny  # below which a sketch says 0
            near = {"median": rough, "gates": 0.0}.get(name, tolerance(feature, numbers))
            assert np.isnan(value) if want is None else abs(value - want) <= near, f"{name} of {question}: {value}, naive {want}"


def fare_of(tap: Known) -> float | None:
    return tap.fare


BUSY = View(
    "busy",
    TAPS,
    entity="line",
    features={"sum": sum_("fare", over="1h"), "std": std("fare", over="2h", bucket="1h"), "mean": mean("fare", over="5min", bucket="5min")},
)


@settings(max_examples=30)
@given(taps=HISTORIES, times=TIMES, view=st.sampled_from([BUSY, OF_ALL_KINDS, BY_LINE_AND_GATE]), limits=LIMITS)
def test_the_bytes_are_the_same_however_the_past_is_read(
    taps: list[Known], times: list[tuple[int, int, Any, Any]], view: View, limits: Limits
) -> None:
    asked = moments([Asked(at_ms, at_ms, line, gate) for at_ms, _, line, gate in times])
    once, again = (values_at(view, lake_of(taps), asked, "known_at", some) for some in (DEFAULT_LIMITS, limits))
    assert {name: column.tobytes() for name, column in once.items()} == {name: column.tobytes() for name, column in again.items()}


ARRIVALS = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 999, MINUTE_MS, HOUR_MS]), st.sampled_from([0, 1, MINUTE_MS, HOUR_MS, 3 * HOUR_MS]), KNOWN),
    min_size=1,
    max_size=12,
)


EVERYONE = [("hot", "n"), ("b", "b,a"), ("a,b", "\\"), ("nobody", "n")]
Told = tuple[View, Asked, dict[str, float]]


@settings(max_examples=20)
@given(arrivals=ARRIVALS)
def test_the_lake_answers_what_the_tiles_answered_when_it_was_replayed(arrivals: list[tuple[int, int, Known]]) -> None:
    known_at_ms, taps = T0, list[Known]()
    for pause_ms, lag_ms, tap in arrivals:
        known_at_ms += pause_ms
        taps.append(Known(known_at_ms - lag_ms, known_at_ms, tap.line, tap.gate, tap.fare, tap.riders))
    told = replayed(taps)
    assert RETENTION_MS["taps"] > 3 * HOUR_MS  # none of these is late, so the lake holds them all
    for view in VIEWS:
        mine = [(question, said) for owner, question, said in told if owner is view]
        values = values_at(view, lake_of(taps), moments([question for question, _ in mine]), "known_at")
        for name, feature in view.features.items():
            for (question, said), got in zip(mine, values[view.column(name)], strict=True):
                want = said[view.column(name)]
                mates = [(tap.at_ms, raw(view, name, tap)) for tap in taps if same_entity(view, tap, question)]
                near = 2 * slack(feature.aggregate.kind, in_window(mates, feature, question.at_ms))
                assert np.isnan(got) == np.isnan(want) and not abs(got - want) > near, f"{name} of {question}: lake {got}, tiles {want}"


def replayed(taps: Sequence[Known]) -> list[Told]:
    """What the tiles say of everyone, each time just before the next tap is known."""
    told: list[Told] = []
    with tempfile.TemporaryDirectory() as folder:
        log, state = open_log(Path(folder)), open_state(Path(folder))
        engine = make_engine(log, state)
        for place, tap in enumerate(taps):
            log.append([entry(f"t{place}", tap.at_ms, tap.known_at_ms, **fields_of(tap))], now_ms=0)
            engine.drain(100)
            after_ms = taps[place + 1].known_at_ms if place + 1 < len(taps) else tap.known_at_ms + HOUR_MS
            if after_ms > tap.known_at_ms:  # else the moment is not over: more becomes known at it
                told.extend(said for view in VIEWS for said in tiles_say(state, view, after_ms - 1))
        state.close()
        log.close()
    return told


def tiles_say(state: SqlState, view: View, at_ms: int) -> list[Told]:
    """One read of the tiles for everyone."""
    columns = {name: np.array([pair[place] for pair in EVERYONE], dtype=object) for place, name in enumerate(("line", "gate"))}
    reading = state.tiles.read([Lookup(view.name, view.keys(columns))], at_ms)
    values = [{name: float(column[row]) for name, column in reading.values.items()} for row in range(len(EVERYONE))]
    return [(view, Asked(at_ms, at_ms, *pair), said) for pair, said in zip(EVERYONE, values, strict=True)]


def lake_of(taps: Sequence[Known], offsets: Sequence[int] | None = None) -> ds.Dataset:
    """The lake's table of these taps, known in this order; at these log offsets, or at 1, 2, ..."""
    rows = [
        {"_offset": offset, "_known_at_ms": tap.known_at_ms, "_event_time_ms": tap.at_ms, "_event_id": f"t{offset}", **fields_of(tap)}
        | {"tap_id": f"t{offset}", "at": tap.at_ms}
        for offset, tap in zip(offsets or range(1, len(taps) + 1), taps, strict=True)
    ]
    return ds.dataset(pa.Table.from_pylist(rows, schema=lake_schema(TAPS)))


def moments(asked: Sequence[Asked]) -> Moments:
    """Questions as columns."""
    return Moments(
        at_ms=np.array([question.at_ms for question in asked], dtype=np.int64),
        known_up_to=np.array([question.known_up_to for question in asked], dtype=np.int64),
        columns={name: np.array([getattr(question, name) for question in asked], dtype=object) for name in ("line", "gate")},
    )


def fields_of(tap: Known) -> dict[str, Any]:
    return {"line": tap.line, "gate": tap.gate, "fare": tap.fare, "riders": tap.riders}


def same_entity(view: View, tap: Known, question: Asked) -> bool:
    """Whether a tap is about whom is asked; a null is nobody."""
    mine, theirs = ([getattr(one, name) for name in view.entity_fields] for one in (tap, question))
    return mine == theirs and None not in mine


def raw(view: View, feature: str, tap: Known) -> float | None:
    """What a feature reads of one tap, by its text."""
    expression = view.features[feature].expression
    if expression is None:
        return 1.0
    value = tap.riders if '"riders"' in expression.text else tap.fare
    if value is None or expression.operator == "col":
        return None if value is None else float(value)
    return float(value >= 2)
