"""The estimate holds what it promises where the world is what it was, sees what moves the answers, and misses a flipped concept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tidemill.clock import DAY_MS
from tidemill.drift import QualityReference, estimate_quality, profile_quality
from tidemill.drift.calibrator import CalibrationMap, Calibrator
from tidemill.kernels import Floats, Ints
from tidemill.learning import measure

ROWS_A_DAY = 300
METRICS = ("log_loss", "accuracy", "auc")


@dataclass(frozen=True)
class World:
    """A model that is off by a known amount, in a world whose days have luck of their own.

    Args:
        luck: standard deviation of a day's shift of the log odds.
        hard: how far the inputs have moved to where the model is unsure.
        flipped: the same inputs mean the opposite.
    """

    luck: float = 0.0
    hard: float = 0.0
    flipped: bool = False

    def days(self, n_days: int, rng: np.random.Generator) -> tuple[Floats, Floats, Ints]:
        """Outcomes, probabilities and times."""
        day = np.repeat(np.arange(n_days), ROWS_A_DAY)
        said = rng.normal(-0.8, 1.2, len(day)) * (1.0 - self.hard)
        true = (1.3 * said + 0.2 + rng.normal(0.0, self.luck, n_days)[day]) * (-1 if self.flipped else 1)
        return (rng.random(len(day)) < 1 / (1 + np.exp(-true))).astype(np.float64), 1 / (1 + np.exp(-said)), day * DAY_MS


def held(reference: QualityReference, world: World, rng: np.random.Generator, n_days: int) -> dict[str, list[bool]]:
    """By metric and day, whether the interval holds the real value."""
    outcome, said, at_ms = world.days(n_days, rng)
    found: dict[str, list[bool]] = {name: [] for name in METRICS}
    for day in np.unique(at_ms):
        here = at_ms == day
        real, estimated = measure(outcome[here], said[here]).figures, estimate_quality(said[here], reference).figures
        for name in METRICS:
            found[name].append(estimated[name].holds(real[name].value))
    return found


@pytest.mark.parametrize("luck", [0.0, 0.4])
def test_the_interval_holds_the_real_value_at_its_nominal_rate(luck: float) -> None:
    """Of 400 days after 40 trainings of a week, whether days have luck of their own or not."""
    world, all_held = World(luck=luck), {name: list[bool]() for name in METRICS}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        reference = profile_quality(*world.days(7, rng), DAY_MS)
        for name, days in held(reference, world, rng, 10).items():
            all_held[name] += days
    for name, days in all_held.items():
        assert 0.9 <= np.mean(days) <= 0.99, name


def test_a_model_that_is_off_is_estimated_by_what_its_scores_are_worth() -> None:
    rng = np.random.default_rng(1)
    reference = profile_quality(*World().days(28, rng), DAY_MS)
    now, answers, _ = World().days(28, rng)
    real, estimated = measure(now, answers).figures["log_loss"].value, estimate_quality(answers, reference).figures["log_loss"]
    taken_at_its_word = -np.mean(answers * np.log(answers) + (1 - answers) * np.log(1 - answers))
    assert abs(estimated.value - real) < abs(taken_at_its_word - real) / 3


def test_rows_that_the_model_finds_hard_are_seen_before_any_label() -> None:
    rng = np.random.default_rng(2)
    reference = profile_quality(*World().days(7, rng), DAY_MS)
    outcome, said, _ = World(hard=0.8).days(1, rng)
    estimated = estimate_quality(said, reference).figures
    assert estimated["accuracy"].high is not None
    assert estimated["accuracy"].high < reference.values["accuracy"]
    assert estimated["accuracy"].holds(measure(outcome, said).figures["accuracy"].value)


def test_a_flipped_concept_is_not_seen_but_the_labels_tell_that_the_estimate_was_wrong() -> None:
    """What docs/quality.md says: the answers are what they were, so the estimate is too; it fails on every day."""
    rng = np.random.default_rng(3)
    reference = profile_quality(*World().days(7, rng), DAY_MS)
    outcome, said, _ = World(flipped=True).days(1, rng)
    estimated = estimate_quality(said, reference).figures["accuracy"]
    assert estimated.holds(reference.values["accuracy"])
    assert measure(outcome, said).figures["accuracy"].value < 0.5 < estimated.value
    assert not any(held(reference, World(flipped=True), rng, 10)["accuracy"])


def test_of_several_classes_each_is_calibrated_against_the_rest() -> None:
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(4_200, 3))
    worth = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)  # less sure than it may be
    outcome = (rng.random(4_200)[:, None] > worth.cumsum(axis=1)).sum(axis=1).astype(np.float64)
    reference = profile_quality(outcome[:2_100], said[:2_100], np.arange(2_100) // 300 * DAY_MS, DAY_MS)
    real, estimated = measure(outcome[2_100:], said[2_100:]).figures, estimate_quality(said[2_100:], reference).figures
    assert set(real) == set(estimated) == set(METRICS)
    assert all(estimated[name].holds(real[name].value) for name in METRICS)


def test_too_few_windows_say_that_the_interval_is_provisional() -> None:
    rng = np.random.default_rng(5)
    one_day = profile_quality(*World().days(1, rng), DAY_MS)
    assert (one_day.n_windows, one_day.provisional, dict(one_day.spread)) == (0, True, {})
    assert estimate_quality(np.array([0.3, 0.4]), one_day).n == 2
    assert estimate_quality(np.empty(0), one_day).figures == {}


def test_a_calibration_map_rises_and_promises_nothing_for_certain() -> None:
    rng = np.random.default_rng(6)
    score = rng.random(3_000)
    fitted = CalibrationMap.fit((rng.random(3_000) < np.where(score < 0.1, 0.0, score**2)).astype(float), score)
    assert len(fitted.scores) <= 50
    assert np.all(np.diff(fitted.probabilities) >= 0)
    assert 0 < fitted.probabilities[0] < fitted.probabilities[-1] < 1
    assert np.abs(fitted.apply(np.linspace(0.2, 0.9, 50)) - np.linspace(0.2, 0.9, 50) ** 2).max() < 0.1


def test_scores_of_a_model_that_says_few_different_ones_share_a_knot() -> None:
    score = np.tile([0.2, 0.2, 0.7], 400)
    fitted = Calibrator.fit(np.tile([0.0, 1.0, 1.0], 400), np.column_stack((1 - score, score)))
    said = np.array([[0.8, 0.2], [0.3, 0.7]])
    assert fitted.apply(said)[:, 1] == pytest.approx([0.5, 1.0], abs=0.02)
