"""Metrics, expectations, label lags and slices against twins that loop."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.drift.expected import expect
from tidemill.learning import LabelLag, measure
from tidemill.learning.measured import by_class
from tidemill.learning.slices import MISSING, SlicedRows, slice_quality, sum_slices

PROBABILITIES = st.sampled_from([0.05, 0.2, 0.5, 0.7, 0.95])
LABELLED = st.lists(st.tuples(st.integers(0, 1), PROBABILITIES), min_size=1, max_size=30)
ANSWERS = st.lists(st.tuples(PROBABILITIES, PROBABILITIES), min_size=1, max_size=5)


def naive_auc(outcome: list[int], score: list[float]) -> float | None:
    pairs = [(p, n) for p, y in zip(score, outcome, strict=True) if y for n, z in zip(score, outcome, strict=True) if not z]
    return sum(1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs) / len(pairs) if pairs else None


def naive_delong(outcome: list[int], score: list[float]) -> float:
    """The standard error by its definition: the variance of each side's own shares."""
    sides = [[s for s, y in zip(score, outcome, strict=True) if y == side] for side in (1, 0)]

    def beats(one: float, other: float) -> float:
        return 1.0 if one > other else 0.5 if one == other else 0.0

    shares = (
        [sum(beats(p, n) for n in sides[1]) / len(sides[1]) for p in sides[0]],
        [sum(beats(p, n) for p in sides[0]) / len(sides[0]) for n in sides[1]],
    )
    return math.sqrt(sum(float(np.var(part, ddof=1)) / len(part) if len(part) > 1 else 0.25 for part in shares))


@settings(max_examples=40)
@given(LABELLED)
def test_metrics_are_those_of_a_loop(rows: list[tuple[int, float]]) -> None:
    outcome, score = [row[0] for row in rows], [row[1] for row in rows]
    found = measure(np.array(outcome, dtype=float), np.array(score))
    assert found.n == len(rows)
    losses = [-math.log(p if y else 1 - p) for y, p in rows]
    assert found.figures["log_loss"].value == pytest.approx(sum(losses) / len(rows))
    assert found.figures["accuracy"].value == pytest.approx(sum((p >= 0.5) == bool(y) for y, p in rows) / len(rows))
    area = naive_auc(outcome, score)
    assert ("auc" in found.figures) == (area is not None)
    if area is not None:
        interval, error = found.figures["auc"], naive_delong(outcome, score)
        assert (interval.value, interval.low) == pytest.approx((area, max(0.0, area - 1.959964 * error)), abs=1e-6)


@settings(max_examples=20)
@given(ANSWERS)
def test_expectations_are_those_over_every_outcome_there_could_be(rows: list[tuple[float, float]]) -> None:
    """Every combination of outcomes, weighted by its chance; said and worth differ, as of a model that is not calibrated."""
    said, worth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = expect(by_class(said), by_class(worth))
    moments: dict[str, list[float]] = {"log_loss": [0.0, 0.0], "accuracy": [0.0, 0.0]}
    ordered, pairs = 0.0, 0.0
    for outcome in itertools.product((0, 1), repeat=len(rows)):
        chance = math.prod(w if y else 1 - w for y, w in zip(outcome, worth.tolist(), strict=True))
        figures = measure(np.array(outcome, dtype=float), said).figures
        for name, sums in moments.items():
            sums[0] += chance * figures[name].value
            sums[1] += chance * figures[name].value ** 2
        n_pairs = sum(outcome) * (len(outcome) - sum(outcome))
        ordered += chance * n_pairs * (naive_auc(list(outcome), said.tolist()) or 0.0)
        pairs += chance * n_pairs
    for name, (mean, square) in moments.items():
        assert found[name].value == pytest.approx(mean)
        assert found[name].luck ** 2 == pytest.approx(square - mean**2, abs=1e-9)
    assert ("auc" in found) == (len(rows) > 1)
    if len(rows) > 1:
        assert found["auc"].value == pytest.approx(ordered / pairs)


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(1, 10**10), max_size=20), min_size=1, max_size=4), st.integers(0, 5), st.integers(0, 10**10))
def test_lags_add_up_and_are_right_to_a_bin(windows: list[list[int]], unlabelled: int, age_ms: int) -> None:
    together = sum((LabelLag.of(np.array(lags, dtype=np.int64), len(lags) + unlabelled) for lags in windows), LabelLag())
    lags = sorted(lag for window in windows for lag in window)
    assert (together.n, together.n_labelled) == (len(lags) + unlabelled * len(windows), len(lags))
    for q in (0.5, 0.99):
        exact = lags[max(0, math.ceil(q * len(lags)) - 1)] if lags else None
        found = together.quantile(q)
        assert (found is None) == (exact is None)
        assert exact is None or exact <= (found or 0) + 1 <= exact * 2 ** (1 / 8) + 2
    if together.n:
        surely = sum(lag * 2 ** (1 / 8) < age_ms for lag in lags) / together.n
        perhaps = sum(lag < age_ms * 2 ** (1 / 8) for lag in lags) / together.n
        assert surely - 1e-9 <= together.share_by(age_ms) <= perhaps + 1e-9


SLICED = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.booleans(), PROBABILITIES), min_size=1, max_size=20)


@settings(max_examples=30)
@given(st.lists(SLICED, min_size=1, max_size=4))
def test_slices_are_those_of_a_loop(windows: list[list[tuple[str | None, bool, float]]]) -> None:
    summed = [
        sum_slices(SlicedRows({"port": [row[0] for row in rows]}, *np.array([[row[1], row[2], 0.3] for row in rows], dtype=float).T))
        for rows in windows
    ]
    every = [row for rows in windows for row in rows]
    found = {one.value: one for one in slice_quality(summed)}
    assert set(found) == {MISSING if row[0] is None else row[0] for row in every}
    mean = sum(row[2] for row in every) / len(every)
    for value, one in found.items():
        mine = [row for row in every if (MISSING if row[0] is None else row[0]) == value]
        assert one.n == len(mine)
        assert one.accuracy == pytest.approx(sum(row[1] for row in mine) / len(mine))
        assert one.loss.value == pytest.approx(sum(row[2] for row in mine) / len(mine))
        assert one.expected == pytest.approx(0.3)
        assert one.hard == (one.loss.low is not None and one.loss.low > mean)
        assert one.worse == (one.loss.low is not None and one.loss.low > 0.3)
