"""Laws of bets and checks: the games are fair, the sums are those of a plain loop, and batches and restarts change nothing."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import BettingDrift, FeatureDrift, ReferenceProfile, profile_reference
from tidemill.drift.bets import categorical_gains, numeric_gains
from tidemill.kernels import advance_bets, idle_sums

Rows = dict[str, npt.NDArray[Any]]

N_LIVE = 900
SEEDS = st.integers(0, 2**32 - 1)
CUTS = st.lists(st.integers(0, N_LIVE), max_size=5).map(sorted)
COUNTS = st.lists(st.integers(0, 500), min_size=3, max_size=30).map(np.array)


def rows_of(rng: np.random.Generator, n: int, shift: float = 0.0) -> Rows:
    """Numbers with ties and gaps, a column that stands still for a while, and categories of which one is rare."""
    x = np.where(rng.random(n) < 0.05, np.nan, rng.normal(shift, 1, n).round(1))
    steady = rng.integers(0, 3, n).astype(np.float64)
    steady[n // 2 : n // 2 + int(100 * shift)] = 1.0
    kinds = np.array(["a", "b", "c", "rare", None], dtype=object)
    return {"x": x, "steady": steady, "kind": kinds[rng.choice(5, n, p=[0.5, 0.3 - shift / 10, 0.15 + shift / 10, 0.002, 0.048])]}


def reference(seed: int) -> ReferenceProfile:
    rng = np.random.default_rng(seed)
    return profile_reference(rows_of(rng, 3_000), rng.random(3_000), np.arange(3_000) * HOUR_MS)


@given(counts=COUNTS)
def test_no_bet_wins_in_the_mean_on_rows_of_the_reference(counts: npt.NDArray[np.int64]) -> None:
    share = counts / max(counts.sum(), 1)
    for gains in (numeric_gains(counts), categorical_gains(counts)):
        assert (share @ np.exp(gains) <= 1.0 + 1e-9).all()
    if counts[:-1].sum() and counts[-1] >= 0.05 * counts.sum():
        assert share @ np.exp(numeric_gains(counts))[:, :10] == pytest.approx(1.0)


@settings(max_examples=50)
@given(seed=SEEDS, level=st.floats(0.5, 20.0))
def test_the_sums_are_those_of_a_plain_loop(seed: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    codes, gains = rng.integers(0, 4, 200), rng.normal(0.05, 1, (4, 3))
    levels = np.full(3, level)
    sums, since_ms, peaks = idle_sums(3)
    row, high, seen = 0, False, []
    while (row := row + advance_bets(codes[row:], np.arange(row, 200), gains, levels, sums, since_ms, peaks, high)) < 200:
        high = not high
        seen.append(row)
        row += 1
    assert (seen, sums.tolist(), since_ms.tolist(), peaks.tolist()) == naive(codes.tolist(), gains.tolist(), level)


def naive(codes: list[int], gains: list[list[float]], level: float) -> tuple[list[int], list[float], list[int], list[float]]:
    sums, since, peaks, high, seen = [0.0] * 3, [0] * 3, [0.0] * 3, False, []
    for row, code in enumerate(codes):
        for bet in range(3):
            if sums[bet] == 0.0:
                since[bet] = row
            sums[bet] = min(max(sums[bet] + gains[code][bet], 0.0), level)
            peaks[bet] = max(peaks[bet], sums[bet])
        if max(sums) < level / 2 if high else max(sums) >= level:
            high = not high
            seen.append(row)
    return seen, sums, since, peaks


@settings(max_examples=15)
@given(seed=SEEDS, cuts=CUTS, shift=st.sampled_from([0.0, 0.7, 2.0]))
def test_any_batching_with_a_restart_at_each_cut_gives_the_same_warnings(seed: int, cuts: list[int], shift: float) -> None:
    profile = reference(seed)
    rng = np.random.default_rng(seed + 1)
    live, scores, at_ms = rows_of(rng, N_LIVE, shift), rng.random(N_LIVE), np.arange(N_LIVE) * HOUR_MS
    whole, pieces = FeatureDrift(profile), FeatureDrift(profile)
    expected = whole.update(live, at_ms, scores)
    warnings = []
    for first, end in pairwise([0, *cuts, N_LIVE]):
        pieces = FeatureDrift.from_state(profile, json.loads(json.dumps(pieces.state(), allow_nan=False)))
        warnings += pieces.update({name: values[first:end] for name, values in live.items()}, at_ms[first:end], scores[first:end])
    assert warnings == expected
    assert pieces.state() == whole.state()
    assert pieces.active == whole.active
    if shift == 2.0:
        assert {"x", "steady"} <= {warning.column for warning in expected}


@settings(max_examples=10)
@given(seed=SEEDS)
def test_a_column_warns_no_sooner_than_one_of_its_detectors(seed: int) -> None:
    profile = reference(seed)
    live, at_ms = rows_of(np.random.default_rng(seed + 1), N_LIVE, 1.0), np.arange(N_LIVE) * (DAY_MS // 100)
    together, alone = FeatureDrift(profile).update(live, at_ms), BettingDrift(profile).update(live, at_ms)
    first = {warning.column: warning.at_ms for warning in reversed(together)}
    assert all(first[warning.column] <= warning.at_ms for warning in alone)
