"""The metrics against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from tidemill.learning import Quality, auc, quality, weekly

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
