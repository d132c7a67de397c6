"""Challengers of one retrain: which rows each is fitted on, which judge them, and which windows are left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests import tiny
from tidemill.clock import DAY_MS
from tidemill.errors import ProjectError, UnfitRowsError
from tidemill.learning import Monitor, RetrainPolicy, TrainingSet
from tidemill.learning.candidates import MIN_JUDGED, Candidate, Wanted, fit_candidates, held_out, rows_of
from tidemill.learning.retrain_policy import Window

A_DAY = 600
POLICY = RetrainPolicy(gate="2d", recent="5d")
MODEL = replace(tiny.LATE_ORDER, features=["amount"], estimator=LogisticRegression, slices=(), policy=POLICY)


def rows(days: int, *, outcome: float | None = None) -> TrainingSet:
    """600 a day; a large amount means 1."""
    rng = np.random.default_rng(3)
    at_ms = np.arange(days * A_DAY, dtype=np.int64) * (DAY_MS // A_DAY)
    amount = rng.normal(size=len(at_ms))
    told = (rng.random(len(at_ms)) < 1 / (1 + np.exp(-2 * amount))).astype(np.float64)
    kept = told if outcome is None else np.full(len(at_ms), outcome)
    return TrainingSet({"amount": amount}, kept, at_ms, [str(number) for number in range(len(at_ms))], 0, {}, int(at_ms[-1]), 0)


def fitted(past: TrainingSet, since_ms: int | None = None, most: int = 3) -> tuple[list[Candidate], dict[str, str]]:
    """The candidates, of which no more are wanted than said, and why the other windows were left out."""
    found: list[Candidate] = []

    def stop(one: Candidate) -> str:
        found.append(one)
        return "enough" if len(found) >= most else ""

    left_out = fit_candidates(MODEL, past, Wanted(since_ms), stop)
    return found, left_out


def test_each_window_is_fitted_once_on_its_rows_and_none_on_those_that_judge() -> None:
    past = rows(20)
    since_ms = 17 * DAY_MS
    found, left_out = fitted(past, since_ms)
    assert ([one.window for one in found], left_out) == (["change", "all", "recent"], {})
    judged = found[0].fitted.gate
    assert len(judged) == int(3 * A_DAY * 0.3)
    for one in found:
        assert one.fitted.train.at_ms[-1] < judged.at_ms[0]
        assert one.fitted.gate is judged
    change, whole, recent = (one.fitted.train for one in found)
    assert change.at_ms[0] == since_ms
    assert recent.at_ms[0] > past.at_ms[-1] - 5 * DAY_MS
    assert len(whole) == len(past) - len(judged)


def test_without_a_change_two_windows_are_left_and_equal_ones_are_fitted_once() -> None:
    found, left_out = fitted(rows(20))
    assert ([one.window for one in found], list(left_out)) == (["all", "recent"], ["change"])
    assert len(found[0].fitted.gate) == 2 * A_DAY
    short, left_out = fitted(rows(4))
    assert [one.window for one in short] == ["all"]
    assert left_out["recent"] == "the same 1200 rows as 'all'"


def test_no_more_are_fitted_than_are_wanted_and_it_says_why() -> None:
    found, left_out = fitted(rows(20), 17 * DAY_MS, most=2)
    assert ([one.window for one in found], left_out) == (["change", "all"], {"recent": "enough"})


@pytest.mark.parametrize("since", [600, 699, 0])
def test_nothing_is_fitted_before_the_rows_since_the_change_are_enough(since: int) -> None:
    """Of 700 rows since the change 210 judge, so that 490 are left; 300 and fewer cannot be shared at all."""
    past = rows(20)
    if since == 0:
        assert fitted(past, int(past.at_ms[-720]))[0][0].window == "change"
        return
    with pytest.raises(UnfitRowsError, match=r"rows since the change besides the .* that judge, 500 are needed") as refused:
        fitted(past, int(past.at_ms[-since]))
    assert refused.value.name == "TooFewLabels"


@pytest.mark.parametrize("past", [rows(20, outcome=1.0), rows(1).rows(np.arange(A_DAY) < 150), rows(2)])
def test_too_few_rows_or_one_outcome_are_refused(past: TrainingSet) -> None:
    with pytest.raises(UnfitRowsError) as refused:
        fitted(past)
    assert refused.value.name == "TooFewLabels"


@given(days=st.integers(1, 12), gate_ms=st.integers(1, 12 * DAY_MS), since=st.none() | st.integers(0, 12 * DAY_MS))
def test_what_judges_is_the_newest_and_never_more_than_the_gate(days: int, gate_ms: int, since: int | None) -> None:
    past = rows(days)
    held = held_out(past, gate_ms, since)
    first = int(np.flatnonzero(held)[0])
    assert held[first:].all()
    assert past.at_ms[first] > past.at_ms[-1] - gate_ms
    n_since = 0 if since is None else int((past.at_ms >= since).sum())
    if n_since >= 2 * MIN_JUDGED and not (held == held_out(past, gate_ms, None)).all():
        assert MIN_JUDGED <= held.sum() <= max(MIN_JUDGED, 0.3 * n_since)


@pytest.mark.parametrize(("window", "expected"), [("change", 3 * A_DAY), ("recent", 5 * A_DAY), ("all", 20 * A_DAY)])
def test_the_winner_is_fitted_again_on_its_window_with_the_newest(window: Window, expected: int) -> None:
    assert len(rows_of(rows(20), window, 17 * DAY_MS, 5 * DAY_MS)) == expected
    assert len(rows_of(rows(20), "change", None, 5 * DAY_MS)) == 20 * A_DAY


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"on": ("errors",)}, "unknown 'errors'.*choose of error, evidently, schedule"),
        ({"windows": ("new",)}, "unknown 'new'.*change, recent, all"),
        ({"windows": ()}, "nothing to fit on"),
        ({"follow_ups": (500, 200)}, "does not rise"),
        ({"follow_ups": (0, 200)}, "does not rise"),
        ({"max_fits": 1}, "1 fits make no champion"),
        ({"cooldown": "weekly"}, r"RetrainPolicy\(cooldown=...\): 'weekly' is not a duration.*write e.g. cooldown='6h'"),
        ({"probation": "0d"}, r"RetrainPolicy\(probation=...\): '0d' is not a positive duration"),
    ],
)
def test_a_mistake_in_the_policy_is_named(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ProjectError, match=words):
        RetrainPolicy(**wrong)  # type: ignore[arg-type]  # the mistakes


@pytest.mark.parametrize("name", ["cycle", "check_every"])
def test_a_mistake_in_the_monitor_is_named(name: str) -> None:
    with pytest.raises(ProjectError, match=rf"Monitor\({name}=...\): '1 week' is not a duration"):
        Monitor(**{name: "1 week"})


def other_rows(days: int, since_day: int) -> TrainingSet:
    """As `rows`, and from a day on others are asked: amounts that none had before."""
    past = rows(days)
    later = past.at_ms >= since_day * DAY_MS
    return replace(past, columns={"amount": np.where(later, past.columns["amount"] + 8.0, past.columns["amount"])})


def windows_of(past: TrainingSet, since_ms: int, wanted: tuple[Window, ...] = (), *, useful: bool) -> tuple[list[str], dict[str, str]]:
    found: list[str] = []

    def stop(one: Candidate) -> str:
        found.append(one.window)
        return ""

    left_out = fit_candidates(MODEL, past, Wanted(since_ms, wanted, lambda judged: useful and len(judged) > 0), stop)
    return found, left_out


def test_where_other_rows_are_asked_and_the_old_ones_are_useful_nothing_is_fitted_on_the_new_ones_alone() -> None:
    past, since_ms = other_rows(20, 15), 15 * DAY_MS
    found, left_out = windows_of(past, since_ms, useful=True)
    assert (found, sorted(left_out)) == (["all"], ["change", "recent"])
    assert left_out["change"].startswith("other rows are asked there (told apart with an AUC of 1.000)")


def test_what_follows_up_the_new_rows_alone_is_fitted_on_all_then() -> None:
    past, since_ms = other_rows(20, 15), 15 * DAY_MS
    assert windows_of(past, since_ms, ("change",), useful=True)[0] == ["all"]
    assert windows_of(past, since_ms, ("change",), useful=False) == (["change"], {})


def test_the_new_rows_alone_are_fitted_where_the_same_are_asked_or_what_was_learnt_before_is_worth_nothing() -> None:
    assert windows_of(rows(20), 17 * DAY_MS, useful=True)[0] == ["change", "all", "recent"]
    assert windows_of(other_rows(20, 17), 17 * DAY_MS, useful=False)[0] == ["change", "all", "recent"]


def test_a_policy_without_the_window_all_is_done_as_it_says() -> None:
    narrow = replace(MODEL, policy=replace(POLICY, windows=("change",)))
    left_out = fit_candidates(narrow, other_rows(20, 15), Wanted(15 * DAY_MS, useful=lambda _judged: True))
    assert left_out == {}


def finite() -> Any:
    """An estimator that refuses rows of nothing but zeros, as some refuse a column that is missing throughout."""

    def refuse_zeros(rows: Any) -> Any:
        if not np.asarray(rows).any():
            raise ValueError("nothing but zeros")
        return rows

    return make_pipeline(FunctionTransformer(refuse_zeros), LogisticRegression())


def test_a_window_that_the_estimator_cannot_be_fitted_on_is_left_out_and_the_others_are_fitted() -> None:
    past = rows(20)
    judged = held_out(past, POLICY.gate_ms, 17 * DAY_MS)
    amount = np.where((past.at_ms >= 17 * DAY_MS) & ~judged, 0.0, past.columns["amount"])
    picky, found = replace(MODEL, estimator=finite), list[str]()

    def stop(one: Candidate) -> str:
        found.append(one.window)
        return ""

    left_out = fit_candidates(picky, replace(past, columns={"amount": amount}), Wanted(17 * DAY_MS), stop)
    assert (found, left_out) == (["all", "recent"], {"change": "the estimator could not be fitted on it: ValueError: nothing but zeros"})
    with pytest.raises(ValueError, match="nothing but zeros"):
        fit_candidates(picky, replace(past, columns={"amount": np.zeros(len(past))}), Wanted(17 * DAY_MS))
