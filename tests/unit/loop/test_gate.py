"""When a challenger serves, and a standard error that knows about days."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.clock import DAY_MS
from tidemill.loop import GateSettings, compare, judge

PLAIN = GateSettings()
METRICS = st.floats(0.0, 10.0)


@pytest.mark.parametrize(
    ("champion", "challenger", "n_rows", "settings", "se", "promote", "words"),
    [
        (0.50, 0.49, 200, PLAIN, None, True, "gain 0.01000"),
        (0.50, 0.50, 200, PLAIN, None, False, "no improvement"),
        (0.50, 0.51, 200, PLAIN, None, False, "no improvement"),
        (0.50, 0.4996, 5_000, GateSettings(z=1.0), 1e-5, False, "least gain of 0.00050"),
        (0.50, 0.4994, 5_000, GateSettings(z=1.0), 1e-5, True, "gain 0.00060"),
        (0.50, 0.40, 199, PLAIN, None, False, "only 199"),
        (None, 0.40, 3, PLAIN, None, True, "first model"),
        (None, float("nan"), 3, PLAIN, None, False, "challenger's log_loss is nan"),
        (float("inf"), 0.4, 500, PLAIN, None, False, "champion's log_loss is inf"),
        (0.50, 0.25, 500, GateSettings(min_gain=0.25), None, True, "gain 0.25"),
        (0.50, 0.26, 500, GateSettings(min_gain=0.25), None, False, "least gain of 0.25"),
        (0.50, 0.25, 500, GateSettings(z=2.0), 0.125, False, "2 standard errors of 0.125"),
        (0.50, 0.25, 500, GateSettings(z=2.0), 0.12, True, "gain 0.25"),
        (0.50, 0.25, 500, GateSettings(z=2.0), None, False, "of one moment"),
    ],
)
def test_the_verdict(
    champion: float | None, challenger: float, n_rows: int, settings: GateSettings, se: float | None, promote: bool, words: str
) -> None:
    verdict = judge(champion, challenger, n_rows, settings, se)
    assert verdict.promote is promote
    assert words in verdict.reason


@given(METRICS, METRICS)
def test_two_models_never_both_beat_each_other_and_none_beats_itself(one: float, other: float) -> None:
    assert not (judge(one, other, 500, PLAIN).promote and judge(other, one, 500, PLAIN).promote)
    assert not judge(one, one, 500, PLAIN).promote


@given(METRICS, METRICS, st.floats(0.0, 1.0), st.floats(0.0, 3.0))
def test_stricter_settings_promote_no_more(champion: float, challenger: float, min_gain: float, z: float) -> None:
    strict = judge(champion, challenger, 500, GateSettings(min_gain=min_gain, z=z), se=0.1)
    assert judge(champion, challenger, 500, PLAIN).promote or not strict.promote


def test_with_one_row_a_block_it_is_the_usual_standard_error() -> None:
    rng = np.random.default_rng(3)
    champion, challenger = rng.random(400), rng.random(400)
    found = compare(champion, challenger, np.arange(400) * DAY_MS)
    gains = champion - challenger
    assert found.se == pytest.approx(gains.std(ddof=1) / np.sqrt(400))
    assert (found.n_rows, found.n_blocks) == (400, 400)
    assert found.gain == pytest.approx(gains.mean())
    assert found.gain == pytest.approx(found.champion - found.challenger)


def test_rows_that_share_their_day_count_once() -> None:
    rng = np.random.default_rng(5)
    daily = rng.normal(0.05, 1.0, 60)
    copied = compare(np.repeat(daily, 40), np.zeros(2_400), np.repeat(np.arange(60) * DAY_MS, 40))
    alone = compare(daily, np.zeros(60), np.arange(60) * DAY_MS)
    assert copied.se == pytest.approx(alone.se)


def test_the_order_of_rows_does_not_matter_and_one_day_has_no_error() -> None:
    rng = np.random.default_rng(7)
    champion, challenger, at_ms = rng.random(90), rng.random(90), rng.integers(0, 9 * DAY_MS, 90)
    order = rng.permutation(90)
    first, second = compare(champion, challenger, at_ms), compare(champion[order], challenger[order], at_ms[order])
    assert first.se == pytest.approx(second.se)
    assert compare(champion, challenger, np.full(90, 5)).se is None


@pytest.mark.parametrize("rows", [(0, 0, 0), (3, 2, 3), (3, 3, 2)])
def test_unequal_rows_are_refused(rows: tuple[int, int, int]) -> None:
    champion, challenger, times = rows
    with pytest.raises(ValueError, match="same rows"):
        compare(np.zeros(champion), np.zeros(challenger), np.zeros(times, dtype=np.int64))
