"""The metrics against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, r2_score, roc_auc_score, root_mean_squared_error

from tidemill.learning import Quality, auc, quality, weekly
from tidemill.learning.metrics import class_losses, class_quality, value_quality

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.5, 0.5, 0.9, 1.0]) | st.floats(0, 1)),
    min_size=2,
    max_size=40,
)


@given(rows=ROWS)
def test_they_are_what_scikit_learn_says(rows: list[tuple[int, float]]) -> None:
    outcome, probability = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    said = quality(outcome, probability)
    assert said.n == len(rows)
    kept = np.clip(probability, 1e-15, 1 - 1e-15)
    assert said.log_loss == pytest.approx(log_loss(outcome, kept, labels=[0, 1]))
    if len(set(outcome)) == 2:
        assert said.auc == pytest.approx(roc_auc_score(outcome, probability))
    else:
        assert said.auc is None


def test_of_nothing_there_is_no_metric() -> None:
    assert quality(np.array([]), np.array([])) == Quality(0)
    assert auc(np.ones(3), np.arange(3.0)) is None


def test_each_week_is_judged_alone() -> None:
    at_ms = np.array([0, 5, 10, 25], dtype=np.int64)
    by_week = weekly(at_ms, np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.5, 0.5, 0.5, 0.25]), 10)
    assert {week: one.n for week, one in by_week.items()} == {0: 2, 10: 1, 20: 1}
    assert by_week[20].log_loss == pytest.approx(-np.log(0.75))


@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 5), n=st.integers(1, 60))
def test_those_of_several_classes_are_what_scikit_learn_says(seed: int, n_classes: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    said, outcome = rng.dirichlet(np.ones(n_classes), n), rng.integers(0, n_classes, n).astype(np.float64)
    found = class_quality(outcome, said)
    assert found.log_loss == pytest.approx(log_loss(outcome, said, labels=range(n_classes)))
    assert found.accuracy == pytest.approx(accuracy_score(outcome, said.argmax(axis=1)))
    if len(set(outcome)) == n_classes > 2:
        assert found.auc == pytest.approx(roc_auc_score(outcome, said, multi_class="ovr", labels=range(n_classes)))
    assert (found.auc is None) == (len(set(outcome)) == 1)


def test_a_class_that_nobody_knew_costs_what_probability_0_costs() -> None:
    said = np.array([[0.5, 0.5], [1.0, 0.0]])
    assert class_losses(np.array([-1.0, 1.0]), said).tolist() == [-np.log(1e-15)] * 2


@given(rows=st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=40))
def test_those_of_a_number_are_what_scikit_learn_says(rows: list[tuple[float, float]]) -> None:
    outcome, value = (np.array(column) for column in zip(*rows, strict=True))
    found = value_quality(outcome, value)
    assert found.mae == pytest.approx(mean_absolute_error(outcome, value))
    assert found.rmse == pytest.approx(root_mean_squared_error(outcome, value))
    if np.ptp(outcome) > 1e-3:
        assert found.r2 == pytest.approx(r2_score(outcome, value), rel=1e-6, abs=1e-6)
    assert value_quality(np.ones(3), np.ones(3)).r2 is None
    assert value_quality(outcome[:0], value[:0]) == class_quality(outcome[:0], np.empty((0, 2))) == Quality(0)
