"""Maintenance: readings through the engine, features counted again, late labels, a model that foresees failures, the change."""

from __future__ import annotations

from statistics import mean

import pytest

from examples.made_up import BEGIN_MS
from examples.maintenance import project as example
from examples.maintenance.machines import history, run
from tests.unit.examples.playing import Played, area, check_recording, gain, play
from tidemill.clock import DAY_MS

DAYS = 32


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    recording = history(DAYS)
    check_recording(example.project, recording)
    return play(example.project, recording, tmp_path_factory.mktemp("maintenance"))


def test_features_are_what_one_counts_by_hand(played: Played) -> None:
    asked = played.questions()
    played.check_by_hand(example.sensed, "vibration_6h", asked, every=53)
    played.check_by_hand(example.sensed, "celsius_3d", asked, every=53)
    played.check_by_hand(example.failed, "n_14d", asked, every=53)


def test_a_failure_counts_for_the_checks_of_the_day_before_it(played: Played) -> None:
    day_before = [row for row, outcome in zip(played.rows.keys, played.rows.outcome, strict=True) if outcome == 1]
    assert 0.03 < len(day_before) / len(played.rows) < 0.3
    failures = {hour.failed_ms for hour in run("press0", DAYS, BEGIN_MS + DAYS * DAY_MS) if hour.failed_ms}
    assert failures
    n_checks = sum(row.startswith("press0-") for row in day_before)
    assert n_checks <= 6 * len(failures), "a check every four hours"


def test_the_model_foresees_failures(played: Played) -> None:
    rows, said = played.fitted()
    assert area(rows.outcome, said) > 0.8
    assert gain(rows.outcome, said) > 0.15


def test_from_the_day_of_the_change_the_sensors_show_less() -> None:
    hours = list(run("press0", 40, BEGIN_MS + 20 * DAY_MS))
    before = mean(hour.vibration for hour in hours[: 20 * 24])
    assert mean(hour.vibration for hour in hours[20 * 24 :]) < 0.8 * before
