"""Whether a challenger serves, judged on the newest rows of those that neither model has learnt from."""

from __future__ import annotations

import json
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
from tidemill.learning.regression import Regression
from tidemill.registry import Challenger, Tried, gate, try_unseen
from tidemill.registry.merit import by_merit, constant_answer, enough

DAYS, A_DAY = 6, 600
MODEL = replace(
    tiny.LATE_ORDER, features=["amount"], estimator=LogisticRegression, slices=(), policy=replace(tiny.LATE_ORDER.policy, gate="2d")
)


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
    trial = try_unseen(MODEL, challenger, undecided, int(challenger.train.at_ms[-1]))
    assert trial is not None
    compared = trial.comparison
    assert compared.n_rows == 2 * A_DAY
    assert compared.champion == pytest.approx(np.log(2))
    assert compared.challenger == pytest.approx(challenger.quality.log_loss)
    judged = gate(MODEL, Challenger((Tried("all", challenger, trial),), 1)).judgement
    assert judged.verdict.promote
    assert (judged.metric_champion, judged.metric_challenger) == (compared.champion, compared.challenger)


def test_rows_that_the_champion_has_learnt_from_do_not_judge() -> None:
    challenger = fitted()
    newest = challenger.gate.at_ms > challenger.gate.at_ms[-1] - DAY_MS
    last_ms = int(challenger.gate.at_ms[~newest][-1])
    trial = try_unseen(MODEL, challenger, undecided, last_ms)
    assert trial is not None
    compared = trial.comparison
    assert compared.n_rows == A_DAY
    expected = losses(challenger.gate.outcome[newest], challenger.said[newest]).mean()
    assert compared.challenger == pytest.approx(expected)


def test_a_champion_that_has_learnt_from_all_is_not_replaced_and_it_says_why() -> None:
    challenger = fitted()
    assert try_unseen(MODEL, challenger, undecided, int(challenger.gate.at_ms[-1])) is None
    judged = gate(MODEL, Challenger((Tried("all", challenger, None),), 3)).judgement
    assert not judged.verdict.promote
    assert judged.verdict.reason.startswith("version 3 has learnt from all 1200 rows")
    assert (judged.champion, judged.metric_champion, judged.metric_challenger) == (3, None, None)


def test_the_first_model_is_judged_by_itself() -> None:
    challenger = fitted()
    judged = gate(MODEL, Challenger((Tried("all", challenger, None),), None)).judgement
    assert (judged.verdict.promote, judged.verdict.reason) == (True, "first model")
    assert judged.metric_challenger == challenger.quality.log_loss


def test_of_several_the_better_one_that_passes_serves_and_all_are_told() -> None:
    challenger = fitted()
    known = int(challenger.train.at_ms[-1])
    good = try_unseen(MODEL, challenger, undecided, known)
    guessing = replace(challenger, said=np.full(2 * A_DAY, 0.5))
    tried = (Tried("change", guessing, try_unseen(MODEL, guessing, undecided, known)), Tried("all", challenger, good))
    found = gate(MODEL, Challenger(tried, 1, since_ms=5, left_out={"recent": "the same rows"}))
    assert (found.best.window, found.judgement.verdict.promote, found.fits, found.since_ms) == ("all", True, 2, 5)
    told = found.judgement.findings["candidates"]
    assert [(one["window"], one.get("best"), one.get("promoted")) for one in told] == [
        ("all", True, True),
        ("change", False, False),
        ("recent", None, None),
    ]
    assert told[0]["interval"][0] > 0
    assert told[2]["left_out"] == "the same rows"
    json.dumps(found.judgement.findings, allow_nan=False)


@pytest.mark.parametrize(("noise", "expected"), [(0.02, ["all", "recent", "change"]), (0.3, ["recent", "change", "all"])])
def test_of_those_that_cannot_be_told_apart_the_one_that_has_learnt_from_most_is_first(noise: float, expected: list[str]) -> None:
    wide = fitted()
    narrow = replace(wide, train=wide.train.rows(wide.train.at_ms > wide.train.at_ms[-1] - DAY_MS))
    narrower = replace(wide, train=wide.train.rows(wide.train.at_ms > wide.train.at_ms[-1] - DAY_MS // 2))
    said = wide.said + noise * np.random.default_rng(6).normal(size=2 * A_DAY)
    noisy = replace(wide, said=np.clip(said, 0.001, 0.999))
    tried = [Tried(name, one, None) for name, one in (("change", narrower), ("recent", narrow), ("all", noisy))]
    assert [one.window for one in by_merit(MODEL.objective, tried)] == expected


def test_what_is_clearly_worse_comes_last_however_much_it_has_learnt_from() -> None:
    wide = fitted()
    few = replace(wide, train=wide.train.rows(wide.train.at_ms > wide.train.at_ms[-1] - DAY_MS))
    guessing, wrong = replace(wide, said=np.full(2 * A_DAY, 0.5)), replace(wide, said=1 - wide.said)
    tried = [Tried("wrong", wrong, None), Tried("guessing", guessing, None), Tried("few", few, None)]
    assert [one.window for one in by_merit(MODEL.objective, tried)] == ["few", "guessing", "wrong"]


def test_a_champion_worse_than_a_constant_ends_it_with_the_window_of_the_change() -> None:
    challenger = fitted()
    known = int(challenger.train.at_ms[-1])

    def misled(columns: Mapping[str, Column]) -> Floats:
        return np.where(np.asarray(columns["amount"], dtype=np.float64) > 0, 0.05, 0.95)

    def dull(columns: Mapping[str, Column]) -> Floats:
        return np.where(np.asarray(columns["amount"], dtype=np.float64) > 0, 0.6, 0.4)

    change = [Tried("change", challenger, try_unseen(MODEL, challenger, champion, known)) for champion in (misled, dull)]
    assert "worse than a constant answer" in enough(MODEL, change[:1])
    assert enough(MODEL, change[1:]) == "", "it has kept some skill, so what it learnt from is tried too"
    whole = replace(change[1], window="all")
    assert enough(MODEL, [change[1], whole]) == "not needed, as 'change' passed", "of as many rows the first"
    assert enough(MODEL, [whole]) == "not needed, as 'all' passed"
    guessing = replace(challenger, said=np.full(2 * A_DAY, 0.5))
    beaten = Tried("change", guessing, try_unseen(MODEL, guessing, dull, known))
    assert enough(MODEL, [beaten]) == "", "another window may pass"
    assert enough(MODEL, [replace(beaten, trial=None)]) == "", "no rows judge it"


def test_a_constant_answer_is_the_best_that_knows_nothing_of_a_row() -> None:
    outcome = np.array([0.0, 0.0, 1.0, 2.0])
    shares = constant_answer(MODEL.objective, outcome, np.zeros((4, 3)))
    assert shares.tolist() == [[0.5, 0.25, 0.25]] * 4
    told = np.array([0.0, 1.0, 1.0, 1.0])
    assert constant_answer(MODEL.objective, told, np.zeros(4)).tolist() == [0.75] * 4
    others = [losses(told, np.full(4, share)).mean() for share in (0.6, 0.9)]
    assert losses(told, np.full(4, 0.75)).mean() < min(others)
    numbers = np.array([0.0, 0.0, 0.0, 8.0])
    assert [constant_answer(Regression(metric), numbers, numbers)[0] for metric in ("squared_error", "absolute_error")] == [2.0, 0.0]
