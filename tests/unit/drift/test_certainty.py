"""Answers whose differences become worth less are told, while the luck of days and other rows are not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidemill.clock import DAY_MS
from tidemill.drift import Alarm, Answer, Certainty, OutcomeMonitor, OutcomeSettings

PER_DAY = 300
Floats = npt.NDArray[np.float64]


def said_and_true(days: range, worth: float = 1.0, luck: float = 0.0, far: float = 2.0) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Log-odds that were said, log-odds that are true, and times; `worth` of what was said is true, days share their luck."""
    rng = np.random.default_rng(days.start)
    said = rng.normal(0.0, far, len(days) * PER_DAY)
    at_ms = np.sort(rng.integers(days.start * DAY_MS, days.stop * DAY_MS, said.size))
    return said, worth * said + rng.normal(0.0, luck, days.stop)[at_ms // DAY_MS], at_ms


def alarms(monitor: OutcomeMonitor, days: range, **how: float) -> list[Alarm]:
    said, true, at_ms = said_and_true(days, **how)
    y = np.random.default_rng(days.stop).random(said.size) < 1.0 / (1.0 + np.exp(-true))
    return monitor.update_many("1", y, 1.0 / (1.0 + np.exp(-said)), at_ms)


def test_answers_worth_half_of_what_they_say_are_found_within_a_few_days_though_the_mean_stays() -> None:
    monitor = OutcomeMonitor()
    assert alarms(monitor, range(20)) == []
    found = alarms(monitor, range(20, 30), worth=0.4)
    assert found[0].detector == "certainty"
    assert 20 * DAY_MS <= found[0].since_ms < found[0].at_ms < 26 * DAY_MS
    assert "worth" in found[0].detail


@pytest.mark.no_cover  # hundreds of days through lines that the other tests cover
def test_luck_that_raises_all_outcomes_of_a_day_is_no_change() -> None:
    found = [one for seed in range(5) for one in alarms(OutcomeMonitor(), range(100 * seed, 100 * seed + 60), luck=0.6)]
    assert sum(one.detector == "certainty" for one in found) <= 5 * 52 // 30


@pytest.mark.parametrize("far", [0.5, 4.0])
def test_other_rows_of_a_calibrated_version_are_no_change(far: float) -> None:
    monitor = OutcomeMonitor()
    alarms(monitor, range(20))
    assert [one for one in alarms(monitor, range(20, 60), far=far) if one.detector == "certainty"] == []


def test_answers_that_are_all_the_same_have_no_differences_to_judge() -> None:
    certainty = Certainty(OutcomeSettings())
    rng = np.random.default_rng(0)
    changes = [certainty.update(Answer(0.3, float(rng.random() < 0.3 + 0.6 * (i > 5_000)) - 0.3, 0.21), i * 600_000) for i in range(9_000)]
    assert not any(changes)


def test_numbers_that_shrink_to_the_middle_are_found() -> None:
    rng = np.random.default_rng(1)
    monitor = OutcomeMonitor(task="regression")
    predicted = rng.normal(50.0, 10.0, 40 * PER_DAY)
    day = np.arange(predicted.size) // PER_DAY
    true = np.where(day < 20, predicted, 50.0 + 0.5 * (predicted - 50.0)) + rng.normal(0.0, 5.0, predicted.size)
    found = monitor.update_many("1", true, predicted, np.arange(predicted.size) * (DAY_MS // PER_DAY))
    assert {one.detector for one in found} >= {"certainty"}
    assert min(one.at_ms for one in found) >= 20 * DAY_MS


def test_a_version_saved_before_certainty_was_watched_gathers_it_from_then_on() -> None:
    monitor = OutcomeMonitor()
    alarms(monitor, range(20))
    old: dict[str, Any] = json.loads(json.dumps(monitor.state()))
    del old["versions"]["1"]["certainty"]
    restored = OutcomeMonitor.from_state(old)
    assert "certainty" not in restored.statistics("1")
    alarms(restored, range(20, 30))
    assert "certainty" in restored.statistics("1")


def test_a_version_of_numbers_saved_before_that_gathers_its_baseline_anew() -> None:
    monitor = OutcomeMonitor(task="regression")
    monitor.update_many("1", np.arange(600.0), np.zeros(600), np.arange(600) * DAY_MS)
    old: dict[str, Any] = json.loads(json.dumps(monitor.state()))
    del old["versions"]["1"]["said"]
    assert OutcomeMonitor.from_state(old).statistics("1") == {}
