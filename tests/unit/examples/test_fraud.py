"""Card fraud: payments through the engine, features counted again, a model that finds thefts, and the change where it is said to be."""

from __future__ import annotations

from statistics import mean

import pytest

from examples.fraud import project as example
from examples.fraud.payments import history, payments
from tests.unit.examples.playing import Played, area, check_recording, gain, play
from tidemill.clock import DAY_MS

DAYS = 30


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    recording = history(DAYS)
    check_recording(example.project, recording)
    return play(example.project, recording, tmp_path_factory.mktemp("fraud"))


def test_features_are_what_one_counts_by_hand(played: Played) -> None:
    asked = played.questions()
    played.check_by_hand(example.card_habits, "n_1h", asked, every=97)
    played.check_by_hand(example.card_habits, "mean_amount_28d", asked, every=97)
    played.check_by_hand(example.merchant_reports, "n_28d", asked, every=97)


def test_what_nobody_reports_within_a_week_is_honest(played: Played) -> None:
    begun = [payment for payment in payments(DAYS, drift_from=DAYS) if payment.at_ms < played.rows.now_ms - 7 * DAY_MS]
    assert len(played.rows) == pytest.approx(len(begun), abs=5)
    assert played.rows.outcome.sum() == pytest.approx(sum(payment.is_fraud for payment in begun), abs=5)


def test_the_model_finds_thefts(played: Played) -> None:
    rows, said = played.fitted()
    assert 0.01 < rows.outcome.mean() < 0.08
    assert area(rows.outcome, said) > 0.9
    assert gain(rows.outcome, said) > 0.25


def test_from_the_day_of_the_change_thieves_pay_little(played: Played) -> None:
    stolen = [payment for payment in payments(20, drift_from=10) if payment.is_fraud]
    changed_ms = 10 * DAY_MS + next(iter(played.recording.events())).known_at_ms // DAY_MS * DAY_MS
    before = mean(payment.amount for payment in stolen if payment.at_ms < changed_ms)
    after = mean(payment.amount for payment in stolen if payment.at_ms > changed_ms + DAY_MS)
    assert after < before / 4
