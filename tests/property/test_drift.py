"""Laws of the detectors: batches and restarts change nothing, and the windows say what scipy says."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import WINDOW_ROWS, ColumnProfile, OutcomeMonitor, OutcomeSettings, WindowedDrift, profile_reference

Rows = dict[str, npt.NDArray[Any]]

SETTINGS = OutcomeSettings(baseline_labels=50, baseline_ms=2 * DAY_MS, block_ms=6 * HOUR_MS, error_threshold=3.0, residual_threshold=3.0)
SEEDS = st.integers(0, 2**32 - 1)
CUTS = st.lists(st.integers(0, 1_200), max_size=6).map(sorted)


def rows_of(rng: np.random.Generator, n: int, *, shift: float = 0.0, missing: float = 0.1) -> Rows:
    """Numbers with ties and gaps, and categories of which some are rare."""
    x = np.where(rng.random(n) < missing, np.nan, rng.normal(shift, 1, n).round(1))
    kinds = np.array(["a", "b", "c", "rare", None], dtype=object)
    return {"x": x, "steady": np.ones(n), "kind": kinds[rng.choice(5, n, p=[0.5, 0.3 - shift / 10, 0.15 + shift / 10, 0.002, 0.048])]}


def between(cuts: list[int], n: int) -> list[slice]:
    edges = [0, *[min(cut, n) for cut in cuts], n]
    return [slice(first, end) for first, end in pairwise(edges)]


def reference(seed: int) -> tuple[Rows, npt.NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return rows_of(rng, 3_000), rng.random(3_000)


@settings(max_examples=25)
@given(seed=SEEDS, cuts=CUTS, shift=st.sampled_from([0.0, 0.7, 2.0]))
def test_any_batching_with_a_restart_at_each_cut_gives_the_same_warnings(seed: int, cuts: list[int], shift: float) -> None:
    rows, scores = reference(seed)
    profile = profile_reference(rows, scores, np.arange(3_000) * HOUR_MS)
    live = rows_of(np.random.default_rng(seed + 1), 1_100, shift=shift)
    at_ms = np.arange(1_100) * 1_000
    whole, pieces = WindowedDrift(profile), WindowedDrift(profile)
    expected = whole.update(live, at_ms)
    warnings = []
    for part in between(cuts, 1_100):
        pieces = WindowedDrift.from_state(profile, json.loads(json.dumps(pieces.state())))
        warnings += pieces.update({name: values[part] for name, values in live.items()}, at_ms[part])
    assert warnings == expected
    assert pieces.state() == whole.state()
    assert pieces.active == whole.active
    if shift == 2.0:
        assert "x" in {warning.column for warning in expected}


@settings(max_examples=40)
@given(seed=SEEDS, shift=st.sampled_from([0.0, 0.5, 2.0]), missing=st.sampled_from([0.0, 0.1, 0.6, 1.0]))
def test_window_statistics_are_those_of_scipy(seed: int, shift: float, missing: float) -> None:
    rows, scores = reference(seed)
    profile = profile_reference(rows, scores, np.arange(3_000) * HOUR_MS)
    window = rows_of(np.random.default_rng(seed + 1), WINDOW_ROWS, shift=shift, missing=missing)
    drift = WindowedDrift(profile)
    drift.update(window, 0)
    naive = {
        "x": naive_ks(profile.column("x"), rows["x"], window["x"]),
        "steady": 0.0,
        "kind": naive_chi_square(rows["kind"].tolist(), window["kind"].tolist()),
    }
    assert drift.statistics == pytest.approx(naive, rel=1e-9, abs=1e-12)


def naive_ks(profile: ColumnProfile, rows: npt.NDArray[np.float64], window: npt.NDArray[np.float64]) -> float:
    def snapped(values: npt.NDArray[np.float64]) -> list[float]:
        edges = [*profile.edges, 1e9]
        return [1e12 if np.isnan(value) else min(edge for edge in edges if value <= edge) for value in values]

    rates = [float(np.isnan(values).mean()) for values in (rows, window)]
    return max(float(stats.ks_2samp(snapped(rows), snapped(window)).statistic), 2 * abs(rates[0] - rates[1]))


def naive_chi_square(rows: list[str | None], window: list[str | None]) -> float:
    least = len(rows) / WINDOW_ROWS
    frequent = [kind for kind in sorted({kind for kind in rows if kind is not None}) if rows.count(kind) >= least]
    table = [[float(side.count(kind)) for kind in frequent] for side in (rows, window)]
    for line, side in zip(table, (rows, window), strict=True):
        line += [float(sum(kind is not None and kind not in frequent for kind in side)), float(side.count(None))]
    table[0][-2:] = [max(least, count) for count in table[0][-2:]]
    return float(stats.chi2_contingency(np.array(table), correction=False).statistic)


@settings(max_examples=40)
@given(seed=SEEDS, cuts=CUTS, flip=st.booleans())
def test_outcomes_one_by_one_in_batches_and_over_restarts_give_the_same_alarms(seed: int, cuts: list[int], flip: bool) -> None:
    rng = np.random.default_rng(seed)
    n = 1_000
    p = rng.random(n)
    y = (rng.random(n) < p).astype(int)
    y[600:] = 1 - y[600:] if flip else y[600:]
    at_ms = np.sort(rng.integers(0, 12 * DAY_MS, n))
    single = OutcomeMonitor(SETTINGS)
    expected = [alarm for row in zip(y, p, at_ms, strict=True) if (alarm := single.update("1", *row)) is not None]
    batches = OutcomeMonitor(SETTINGS)
    alarms = []
    for part in between(cuts, n):
        batches = OutcomeMonitor.from_state(json.loads(json.dumps(batches.state())), SETTINGS)
        alarms += batches.update_many("1", y[part], p[part], at_ms[part])
    assert alarms == expected
    assert batches.state() == single.state()
    assert expected or not flip


@settings(max_examples=30)
@given(seed=SEEDS)
def test_versions_do_not_hear_each_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 800
    version, p = rng.integers(0, 3, n), rng.random(n)
    y, at_ms = rng.integers(0, 2, n), np.sort(rng.integers(0, 12 * DAY_MS, n))
    together = OutcomeMonitor(SETTINGS)
    alarms = [alarm for v, *row in zip(version, y, p, at_ms, strict=True) if (alarm := together.update(str(v), *row)) is not None]
    for each in range(3):
        alone, mine = OutcomeMonitor(SETTINGS), version == each
        assert alone.update_many(str(each), y[mine], p[mine], at_ms[mine]) == [a for a in alarms if a.model_version == str(each)]
