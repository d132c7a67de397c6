"""What brings the version before back, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import tiny
from tidemill.learning import RetrainPolicy
from tidemill.loop import Comparison
from tidemill.registry.probation import judge_probation

MODEL = replace(tiny.LATE_ORDER, policy=RetrainPolicy(probation_z=3.0, latency_factor=2.0))


def compared(gain: float, se: float | None = 0.01) -> Comparison:
    """The previous version's loss less the new one's."""
    return Comparison(0.5, 0.5 - gain, gain, se, 900, 8)


@pytest.mark.parametrize(
    ("loss", "errors", "latency_ms", "words"),
    [
        (compared(0.1), compared(0.1), (1.0, 1.0), ""),
        (compared(-0.029), compared(-0.029), (1.0, 2.0), ""),
        (compared(-0.031), None, None, "its log_loss is 0.53100 against 0.50000 of the version before on 900 labels, worse by more than 3"),
        (compared(0.0), compared(-0.05), (1.0, 1.0), "its error rate is 0.55000"),
        (compared(-0.5, None), None, None, ""),
        (compared(0.1), compared(0.1), (1.0, 2.1), "it takes 2.100 ms a row, the version before 1.000"),
        (compared(0.1), compared(0.1), (0.01, 0.4), ""),
    ],
)
def test_only_what_is_surely_worse_is_rolled_back(
    loss: Comparison, errors: Comparison | None, latency_ms: tuple[float, float] | None, words: str
) -> None:
    found = judge_probation(MODEL, 900, loss, errors, latency_ms)
    assert bool(found.against) is bool(words)
    assert words in found.against
    assert found.findings["loss"]["gain"] == loss.gain


@given(gain=st.floats(-1, 1), se=st.floats(0, 1))
def test_a_champion_that_is_better_is_never_rolled_back_for_its_loss(gain: float, se: float) -> None:
    found = judge_probation(MODEL, 900, compared(gain, se), None, None)
    assert bool(found.against) is (gain + 3 * se < 0)
    assert not (found.against and gain >= 0)
