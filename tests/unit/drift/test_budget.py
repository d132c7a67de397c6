"""From a budget to thresholds: what is exceeded as often as asked, and what a smaller budget costs."""

from __future__ import annotations

import numpy as np
import pytest

from tidemill import Monitor
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import outcome_settings, profile_reference, tail_level, window_thresholds
from tidemill.drift.outcome_budget import run_length
from tidemill.errors import ProjectError
from tidemill.learning import Budget


@pytest.mark.parametrize("text", ["1", "1/", "/30d", "0/30d", "-1/30d", "nan/30d", "inf/30d", "1/0d", "1/30 days", "one/30d"])
def test_a_budget_that_cannot_be_read_names_itself_and_the_form(text: str) -> None:
    with pytest.raises(ProjectError, match=r"is not a budget of false alarms.*'1/30d'"):
        Monitor(false_alarm_budget=text)


def test_a_budget_is_read_and_written() -> None:
    budget = Monitor(false_alarm_budget="0.5/2w").budget
    assert (budget, str(budget)) == (Budget(0.5, 14 * DAY_MS), "0.5/14d")
    assert budget.part(0.1).within(28 * DAY_MS) == pytest.approx(0.1)


@pytest.mark.parametrize("n_blocks", [10, 52])
@pytest.mark.parametrize("asked", [0.03, 0.3])
def test_over_the_luck_of_references_fresh_peaks_exceed_the_level_as_often_as_asked(n_blocks: int, asked: float) -> None:
    rng = np.random.default_rng(n_blocks)
    levels = [tail_level(rng.gumbel(size=(20, n_blocks)), asked) for _ in range(400)]
    rate = 20 * np.mean([1.0 - np.exp(-np.exp(-level)) for level in levels])
    assert 0.6 * asked < rate < 1.25 * asked


def test_columns_that_move_together_are_one_witness() -> None:
    alone = np.random.default_rng(0).gumbel(size=(1, 10))
    twins = tail_level(np.repeat(alone, 20, axis=0), 0.1)
    assert twins > tail_level(alone, 0.1)
    assert twins > alone.max()


def test_a_smaller_budget_has_higher_thresholds_everywhere() -> None:
    rng = np.random.default_rng(0)
    profile = profile_reference({"x": rng.normal(size=4_000)}, rng.random(4_000), np.arange(4_000) * HOUR_MS)
    budgets = [Budget.parse(text) for text in ("10/30d", "1/30d", "1/365d")]
    for name in ("x", "(score)"):
        lax, usual, strict = (window_thresholds(profile, budget)[name] for budget in budgets)
        assert lax <= usual < strict
    lenient, ordinary, harsh = (outcome_settings(budget, 7 * DAY_MS) for budget in budgets)
    assert lenient.error_threshold < ordinary.error_threshold < harsh.error_threshold
    assert lenient.residual_threshold < ordinary.residual_threshold < harsh.residual_threshold
    assert lenient.certainty_threshold < ordinary.certainty_threshold < harsh.certainty_threshold


def test_the_run_length_is_that_of_simulated_residuals() -> None:
    rng = np.random.default_rng(0)
    value, alarms, steps = np.zeros(2_000), 0, 400
    for _ in range(steps):
        value = np.maximum(value + rng.normal(size=2_000) - 0.25, 0.0)
        alarms += int((value >= 3.0).sum())
        value[value >= 3.0] = 0.0
    assert steps * 2_000 / alarms == pytest.approx(run_length(3.0, 0.25), rel=0.1)
