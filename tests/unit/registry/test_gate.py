"""Whether a challenger serves, judged on the newest rows of those that neither model has learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests import tiny
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.events import Column
from tidemill.kernels import Floats
from tidemill.learning import Fitted, TrainingSet, fit, losses
from tidemill.registry import Challenger, compare_unseen, gate

DAYS, A_DAY = 6, 600
MODEL = replace(tiny.LATE_ORDER, features=["amount"], estimator=LogisticRegression, policy=replace(tiny.LATE_ORDER.policy, gate="2d"))


def fitted() -> Fitted:
    """Four days to fit on, two to judge on; a large amount means 1."""
    rng = np.random.default_rng(5)
    at_ms = np.arange(DAYS * A_DAY, dtype=np.int64) * (DAY_MS // A_DAY)
    amount = rng.normal(size=len(at_ms))
    outcome = (rng.random(len(at_ms)) < 1 / (1 + np.exp(-2 * amount))).astype(np.float64)
    keys = [str(number) for number in range(len(at_ms))]
    return fit(MODEL, TrainingSet({"amount": amount}, outcome, at_ms, keys, 0, {}, int(at_ms[-1]) + HOUR_MS, 0))


def undecided(columns: Mapping[str, Column]) -> Floats:
    """A champion that knows nothing."""
    return np.full(len(columns["amount"]), 0.5)


def test_a_champion_that_has_not_seen_the_newest_rows_is_compared_on_all_of_them() -> None:
    challenger = fitted()
    compared = compare_unseen(challenger, undecided, int(challenger.train.at_ms[-1]), MODEL.objective)
    assert compared is not None
    assert compared.n_rows == 2 * A_DAY
    assert compared.champion == pytest.approx(np.log(2))
    assert compared.challenger == pytest.approx(challenger.quality.log_loss)
    judged = gate(MODEL, Challenger(challenger, 1, compared))
    assert judged.verdict.promote
    assert (judged.metric_champion, judged.metric_challenger) == (compared.champion, compared.challenger)


def test_rows_that_the_champion_has_learnt_from_do_not_judge() -> None:
    challenger = fitted()
    newest = challenger.gate.at_ms > challenger.gate.at_ms[-1] - DAY_MS
    last_ms = int(challenger.gate.at_ms[~newest][-1])
    compared = compare_unseen(challenger, undecided, last_ms, MODEL.objective)
    assert compared is not None
    assert compared.n_rows == A_DAY
    expected = losses(challenger.gate.outcome[newest], challenger.said[newest]).mean()
    assert compared.challenger == pytest.approx(expected)


def test_a_champion_that_has_learnt_from_all_is_not_replaced_and_it_says_why() -> None:
    challenger = fitted()
    compared = compare_unseen(challenger, undecided, int(challenger.gate.at_ms[-1]), MODEL.objective)
    assert compared is None
    judged = gate(MODEL, Challenger(challenger, 3, compared))
    assert not judged.verdict.promote
    assert judged.verdict.reason.startswith("version 3 has learnt from all 1200 rows")
    assert (judged.champion, judged.metric_champion, judged.metric_challenger) == (3, None, None)


def test_the_first_model_is_judged_by_itself() -> None:
    challenger = fitted()
    judged = gate(MODEL, Challenger(challenger, None, None))
    assert (judged.verdict.promote, judged.verdict.reason) == (True, "first model")
    assert judged.metric_challenger == challenger.quality.log_loss
