"""The bet on the size of errors: fair whatever their distribution, and on errors of 0 and 1 the very likelihood ratio."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drift import Baseline, BernoulliCusum, OutcomeSettings, SizeCusum

BASELINE = Baseline(1_000, 7, 0.2, 0.2, 1.0, 0.0, 0.0, 0.16, 0.0, 0.16)


@given(sizes=st.lists(st.floats(0, 5), min_size=1, max_size=200), ratio=st.sampled_from([1.15, 1.3, 1.7, 3.0]))
def test_it_is_the_largest_sum_of_logarithms_since_any_time_before(sizes: list[float], ratio: float) -> None:
    """A naive twin: the CUSUM is the best over all beginnings of the logarithm of what the bets have multiplied."""
    baseline = replace(BASELINE, error_rate=0.8, error_limit=0.9, error_variance=0.5, error_dispersion=1.5)
    cusum = SizeCusum(baseline, OutcomeSettings(error_ratios=(ratio,), error_threshold=1e9))
    for at_ms, size in enumerate(sizes):
        assert cusum.update(size, at_ms) is None
    more = (ratio - 1) * 0.9
    bet = min(more / (0.5 + more**2), 0.9 / 0.9)
    gains = [math.log(1 + bet * (size - 0.9)) / 1.5 for size in sizes]
    assert cusum.statistic == pytest.approx(max(0.0, *(sum(gains[begin:]) for begin in range(len(gains)))), abs=1e-9)


@pytest.mark.parametrize("draw", ["exponential", "lognormal", "bernoulli"])
def test_a_stake_neither_grows_nor_shrinks_on_average_while_nothing_changes(draw: str) -> None:
    """E[1 + bet * (size - mean)] = 1: what makes the threshold mean the same for every distribution."""
    rng = np.random.default_rng(0)
    sizes = {
        "exponential": rng.exponential(0.8, 400_000),
        "lognormal": rng.lognormal(0, 1, 400_000),
        "bernoulli": rng.random(400_000) < 0.3,
    }
    drawn = np.minimum(sizes[draw].astype(np.float64), 5.0)
    mean = float(drawn.mean())
    baseline = replace(BASELINE, error_rate=mean, error_limit=mean, error_variance=float(drawn.var()))
    for ratio in OutcomeSettings().error_ratios:
        cusum = SizeCusum(baseline, OutcomeSettings(error_ratios=(ratio,)))
        wealth = [math.exp(cusum._gains(size)[0]) for size in drawn[:20_000].tolist()]
        assert np.mean(wealth) == pytest.approx(1, abs=0.02)


def test_on_errors_of_0_and_1_a_small_bet_gains_what_the_likelihood_ratio_does() -> None:
    settings = OutcomeSettings(error_ratios=(1.15,))
    bet, ratio = SizeCusum(BASELINE, settings), BernoulliCusum(BASELINE, settings)
    for error in (0.0, 1.0):
        assert bet._gains(error)[0] == pytest.approx(ratio._gains(error)[0], rel=0.02)
