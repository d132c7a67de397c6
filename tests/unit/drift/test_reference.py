"""The profile: bins, rates, calibration, and what it must not choke on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types
from scipy.spatial import distance  # type: ignore[import-untyped]  # the same

from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import SAMPLE_ROWS, ReferenceProfile, profile_reference
from tidemill.drift.statistics import jensen_shannon, wasserstein_normed

WEEK_MS = 7 * DAY_MS


def test_bins_hold_every_row_once_and_missing_has_its_own() -> None:
    x = np.array([1.0, 2.0, np.nan, 3.0, 4.0])
    kind = np.array(["a", "b", None, "a", "a"], dtype=object)
    profile = profile_reference({"x": x, "kind": kind}, np.linspace(0, 1, 5), np.arange(5))
    assert sum(profile.column("x").counts) == sum(profile.column("kind").counts) == 5
    assert profile.column("x").missing_rate == profile.column("kind").missing_rate == 0.2
    assert profile.column("kind").categories == ("a", "b")
    assert profile.column("kind").counts == (3, 1, 0, 1)


def test_at_most_101_edges_and_100_categories() -> None:
    rng = np.random.default_rng(0)
    many = rng.integers(0, 400, 5_000).astype(str).astype(object)
    profile = profile_reference({"x": rng.normal(size=5_000), "many": many}, rng.random(5_000), np.arange(5_000))
    assert len(profile.column("x").edges) == 101
    assert len(profile.column("many").categories) == 100
    assert profile.column("many").counts[-2] == 5_000 - sum(profile.column("many").counts[:100]) > 0


def test_values_beyond_the_reference_and_unknown_categories_fall_into_the_rest() -> None:
    profile = profile_reference({"x": np.arange(10.0), "k": np.array(["a"] * 10, dtype=object)}, np.zeros(10), np.arange(10))
    x, k = profile.column("x"), profile.column("k")
    assert x.encode(np.array([-5.0, 99.0, np.inf, np.nan])).tolist() == [0, x.n_bins - 2, x.n_bins - 2, x.n_bins - 1]
    assert k.encode(np.array(["a", "new", None, float("nan")], dtype=object)).tolist() == [0, 1, 2, 2]


def test_text_in_a_column_that_was_numeric_is_refused_by_name() -> None:
    profile = profile_reference({"x": np.arange(10.0)}, np.zeros(10), np.arange(10))
    with pytest.raises(ValueError, match="'x' was numeric in training"):
        profile.column("x").encode(np.array(["oops"], dtype=object))


@pytest.mark.parametrize(("weeks", "margin", "provisional"), [(3, 2.0, True), (9.9, 2.0, True), (10, 1.5, False)])
def test_few_cycles_give_the_wider_margin(weeks: float, margin: float, provisional: bool) -> None:
    at_ms = np.linspace(0, weeks * WEEK_MS, 2_001).astype(np.int64)[:-1]
    profile = profile_reference({"x": np.arange(2_000.0)}, np.zeros(2_000), at_ms)
    assert (profile.cycles, profile.margin, profile.provisional) == (int(weeks), margin, provisional)


def test_the_order_of_the_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    x, score, at_ms = rng.normal(size=3_000), rng.random(3_000), np.arange(3_000) * HOUR_MS
    mixed = rng.permutation(3_000)
    assert profile_reference({"x": x[mixed]}, score[mixed], at_ms[mixed]) == profile_reference({"x": x}, score, at_ms)


def test_json_brings_everything_back_even_odd_columns() -> None:
    n = 1_500
    odd = {
        "gone": np.full(n, np.nan),
        "none": np.full(n, None, dtype=object),
        "constant": np.ones(n),
        "flag": np.arange(n) % 2 == 0,
        "infinite": np.where(np.arange(n) % 9 == 0, np.inf, 1.0),
    }
    profile = profile_reference(odd, np.linspace(0, 1, n), np.arange(n) * HOUR_MS)
    assert ReferenceProfile.from_json(profile.to_json()) == profile
    assert profile.column("gone").missing_rate == 1.0
    assert profile.column("gone").check is None


def test_a_reference_too_short_to_calibrate_says_so_instead_of_guessing() -> None:
    profile = profile_reference({"x": np.arange(300.0)}, np.zeros(300), np.arange(300))
    assert profile.column("x").window is None
    assert profile.column("x").check is None


@pytest.mark.parametrize("rows", [0, 3])
def test_rows_must_be_there_and_match(rows: int) -> None:
    with pytest.raises(ValueError, match="a reference needs rows"):
        profile_reference({"x": np.arange(float(rows))}, np.zeros(rows), np.arange(rows * 2))


def test_the_weekly_threshold_is_the_margin_times_the_largest_own_week() -> None:
    rng = np.random.default_rng(0)
    n = 24 * 7 * 12
    week = np.arange(n) // (24 * 7)
    x = rng.normal(size=n) + (week == 5) * 2.0
    check = profile_reference({"x": x}, rng.random(n), np.arange(n) * HOUR_MS).column("x").check
    assert n < SAMPLE_ROWS  # so nothing is sampled and scipy must agree exactly
    naive = max(stats.wasserstein_distance(x[week != w], x[week == w]) / np.std(x[week != w]) for w in range(12))
    assert check is not None
    assert check.largest == pytest.approx(naive, rel=1e-9)
    assert check.threshold == pytest.approx(1.5 * naive, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_distances_equal_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=300).round(1), rng.normal(0.3, 2, size=170).round(1)
    assert wasserstein_normed(a, b) == pytest.approx(stats.wasserstein_distance(a, b) / np.std(a), rel=1e-9)
    p, q = rng.multinomial(300, [0.5, 0.3, 0.2, 0.0]), rng.multinomial(90, [0.1, 0.2, 0.3, 0.4])
    ours = jensen_shannon(dict(zip("abcd", p.tolist(), strict=True)), dict(zip("abcd", q.tolist(), strict=True)))
    assert ours == pytest.approx(distance.jensenshannon(p / 300, q / 90), rel=1e-9)
