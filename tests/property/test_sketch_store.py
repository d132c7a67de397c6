"""Sketches in the real store: any order, any batches and any restart give what one sketch of the raw values in the window gives."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.events.taps import RETENTION_MS, T0, TAPS, entry, lake_writer, make_engine, open_log
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.features import View, count, distinct, floor_ms, quantile
from tidemill.features.sketch import Sketch
from tidemill.stores import Lake, Lookup, MappedState, backfill_view

FEATURES = {
    "n": count(over="1h"),
    "gates": distinct("gate", over=("10min", "1h")),
    "fares": distinct("fare", over="3h"),
    "median": quantile("fare", 0.5, over="1h"),
    "most": quantile("fare", 0.9, over="3h", accuracy=0.05),
}
BY_LINE = View("by_line", TAPS, entity="line", features=FEATURES)
ONLY = View("only", TAPS, entity="line", features={"gates": distinct("gate", over="1h")})

Tap = tuple[int, str | None, str | None, float | None]

AT = st.sampled_from([T0 - HOUR_MS, T0, T0 + 1, T0 + MINUTE_MS]) | st.integers(T0 - 2 * HOUR_MS, T0 + 2 * HOUR_MS)
TAP = st.tuples(
    AT, st.sampled_from(["a", "b", None]), st.sampled_from(["x", "y", "z", None]), st.none() | st.floats(-1e6, 1e6) | st.just(0.0)
)


def naive(view: View, feature_name: str, taps: list[Tap], line: str | None, at_ms: int) -> float:
    """One sketch of the raw values in the window."""
    feature = view.features[feature_name]
    sketch = feature.aggregate
    assert isinstance(sketch, Sketch) and feature.expression is not None
    last_ms = floor_ms(at_ms, feature.bucket_ms)
    inside = [
        tap for tap in taps if line is not None and tap[1] == line and last_ms - feature.window_ms <= tap[0] < last_ms + feature.bucket_ms
    ]
    place, missing = (2, None) if "gate" in feature.expression.names else (3, np.nan)
    values = np.array([missing if tap[place] is None else tap[place] for tap in inside], dtype=object if place == 2 else np.float64)
    return sketch.value(sketch.of(sketch.codes(values)))


@settings(max_examples=40)
@given(taps=st.lists(TAP, max_size=40), limit=st.integers(1, 20), rng=st.randoms(use_true_random=False))
def test_the_store_says_what_one_sketch_says(taps: list[Tap], limit: int, rng: random.Random) -> None:
    known_at_ms = T0 + 2 * HOUR_MS
    entries = [entry(f"t{place}", at, known_at_ms, line=line, gate=gate, fare=fare) for place, (at, line, gate, fare) in enumerate(taps)]
    with tempfile.TemporaryDirectory() as folder:
        log = open_log(Path(folder))
        log.append(rng.sample(entries, len(entries)), now_ms=0)
        retention_ms = {"taps": max(BY_LINE.retention_ms, RETENTION_MS["taps"])}
        while True:  # opened anew for every commit
            state = MappedState(Path(folder) / "state.db", [BY_LINE, ONLY], {}, retention_ms)
            taken = make_engine(log, state).step(limit)
            if not taken:
                break
            state.close()
        reading = state.tiles.read([Lookup("by_line", ["a", "b", None]), Lookup("only", ["b", "a"])], known_at_ms)
        for view, lines in ((BY_LINE, ["a", "b", None]), (ONLY, ["b", "a"])):
            for name in (name for name, _ in view.sketches):
                want = [naive(view, name, taps, line, known_at_ms) for line in lines]
                np.testing.assert_array_equal(reading.values[view.column(name)], want, name)
        state.close()
        log.close()


def test_old_sketches_go_by_and_by_and_a_new_view_is_filled(tmp_path: Path) -> None:
    log, lake = open_log(tmp_path), Lake(tmp_path / "lake", [TAPS])
    state = MappedState(tmp_path / "state.db", [ONLY], {}, RETENTION_MS)
    times = [T0 + place * 5 * MINUTE_MS for place in range(60)]
    log.append(
        [entry(f"t{place}", at_ms, at_ms, line="a", gate=f"g{place}", fare=float(place)) for place, at_ms in enumerate(times)], now_ms=0
    )
    make_engine(log, state).drain(7)
    with state._engine.connect() as connection:
        kept = connection.exec_driver_sql("select count(*) from sketch").scalar_one()
    assert kept == 13
    lake_writer(log, state, lake).flush()
    state.close()
    state = MappedState(tmp_path / "state.db", [ONLY, BY_LINE], {}, RETENTION_MS)
    assert np.isnan(state.tiles.read([Lookup("by_line", ["a"])], times[-1]).values["by_line__gates_1h"]).all(), "missing until it is whole"
    assert backfill_view(state, lake, BY_LINE, at_once=11) > 0
    values = state.tiles.read([Lookup("by_line", ["a"]), Lookup("only", ["a"])], times[-1]).values
    assert [round(float(values[name][0])) for name in ("by_line__gates_1h", "only__gates", "by_line__fares")] == [13, 13, 37]
    state.close()
    log.close()
