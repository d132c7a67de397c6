"""Intervals against scipy, and against the plain formula."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from tidemill.learning.intervals import Interval, mean_of_blocks, student_quantile, wilson


@pytest.mark.parametrize(("freedom", "tolerance"), [(2, 0.015), (3, 0.003), (6, 1e-4), (30, 1e-5), (1_000, 1e-6)])
def test_the_quantile_is_students(freedom: int, tolerance: float) -> None:
    assert student_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=tolerance)


@pytest.mark.parametrize(("n_true", "n"), [(0, 7), (3, 7), (7, 7), (412, 1_000)])
def test_a_share_has_wilsons_interval(n_true: int, n: int) -> None:
    theirs = stats.binomtest(n_true, n).proportion_ci(0.95, method="wilson")
    ours = wilson(n_true, n)
    assert (ours.value, ours.low, ours.high) == pytest.approx((n_true / n, theirs.low, theirs.high), abs=1e-12)
    assert ours.holds(n_true / n)


def test_blocks_of_one_size_have_students_interval_of_their_means() -> None:
    means = np.array([0.2, 0.5, 0.3, 0.6])
    low, high = stats.t.interval(0.95, 3, means.mean(), stats.sem(means))
    found = mean_of_blocks(np.full(4, 9.0), means)
    assert (found.value, found.low, found.high) == pytest.approx((means.mean(), low, high), abs=2e-3)


def test_blocks_that_share_their_luck_are_held_at_the_nominal_rate() -> None:
    """Days of different sizes, each with luck of its own: an interval that takes rows as independent would hold far less often."""
    rng, held = np.random.default_rng(3), 0
    for _ in range(300):
        sizes = rng.integers(20, 200, 12).astype(float)
        held += mean_of_blocks(sizes, 0.4 + rng.normal(0.0, 0.05, 12) + rng.normal(0.0, 0.3, 12) / np.sqrt(sizes)).holds(0.4)
    assert 0.92 <= held / 300 <= 0.98


def test_where_nothing_tells_how_sure_it_is_no_interval_is_claimed() -> None:
    found = mean_of_blocks(np.array([4.0, 6.0]), np.array([0.1, 0.2]))
    assert found.value == pytest.approx(0.16)
    assert found == Interval(found.value)
    assert not found.holds(0.16)
