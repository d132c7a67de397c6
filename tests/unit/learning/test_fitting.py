"""Fitting: the newest rows judge, then teach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests import tiny
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.errors import NotReadyError
from tidemill.learning import TrainingSet, fit, fit_all, predict, refit

DAYS, A_DAY = 10, 600


def make_numbers_only() -> LogisticRegression:
    return LogisticRegression()


MODEL = replace(
    tiny.LATE_ORDER, features=["amount"], estimator=make_numbers_only, slices=(), policy=replace(tiny.LATE_ORDER.policy, gate="2d")
)


def turning(days: int = DAYS) -> TrainingSet:
    """A large amount means 1, until in the last two days it means 0."""
    rng = np.random.default_rng(3)
    at_ms = np.arange(days * A_DAY, dtype=np.int64) * (DAY_MS // A_DAY)
    amount = rng.normal(size=len(at_ms))
    sign = np.where(at_ms > at_ms[-1] - 2 * DAY_MS, -1.0, 1.0)
    outcome = (rng.random(len(at_ms)) < 1 / (1 + np.exp(-2 * sign * amount))).astype(np.float64)
    return TrainingSet({"amount": amount}, outcome, at_ms, [str(i) for i in range(len(at_ms))], 0, {}, int(at_ms[-1]) + HOUR_MS, 0)


def test_the_newest_rows_judge_an_estimator_that_has_not_seen_them() -> None:
    rows = turning()
    fitted = fit(MODEL, rows)
    assert (len(fitted.train), len(fitted.gate), fitted.fits) == (8 * A_DAY, 2 * A_DAY, 1)
    assert fitted.train.at_ms[-1] < fitted.gate.at_ms[0]
    assert fitted.quality.auc is not None and fitted.quality.auc < 0.3  # the world has turned and it cannot know
    np.testing.assert_array_equal(fitted.said, predict(MODEL, fitted.estimator, fitted.gate.frame()))


def test_what_is_to_serve_has_learnt_from_the_newest_rows_too() -> None:
    rows = turning(4)  # two days of each
    fitted = fit(MODEL, rows)
    again = refit(MODEL, fitted, rows)
    assert (len(again.train), again.fits) == (4 * A_DAY, 2)
    assert again.quality == fitted.quality  # still of the one that had not seen them
    np.testing.assert_array_equal(again.said, fitted.said)
    before, after = (float(one.estimator.coef_[0, 0]) for one in (fitted, again))
    assert before > 1 and abs(after) < 0.5
    assert float(fit_all(MODEL, rows).coef_[0, 0]) == pytest.approx(after)


def test_too_few_rows_to_judge_on_says_how_many_are_needed() -> None:
    short = turning().rows(np.arange(DAYS * A_DAY) % 4 == 0)
    with pytest.raises(NotReadyError, match="300 rows to judge on; 500"):
        fit(MODEL, short)


def test_a_fit_takes_every_core_only_where_waiting_threads_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []

    class Spy:
        def __init__(self, limits_: int) -> None:
            limits.append(limits_)

        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr("tidemill.learning.fitting.threadpool_limits", lambda limits: Spy(limits))
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1, 2})
    for policy in ("passive", "active", ""):
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
        fit_all(MODEL, turning(1))
    assert limits == [3, 1, 1]
