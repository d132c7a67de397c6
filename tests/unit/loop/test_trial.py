"""A worse challenger is never promoted: not as a whole, not on a slice, not in its calibration, not in its latency."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tidemill.clock import HOUR_MS
from tidemill.learning import block_of
from tidemill.loop import Comparison, GateSettings, Slice, Trial, TrialSettings, compare, compare_slices, judge_trial, miscalibration
from tidemill.loop.trial import z_of_slices

WELL = Comparison(0.5, 0.4, 0.1, 0.01, 900, 7)
SCARCELY = Comparison(0.5, 0.495, 0.005, 0.001, 900, 7)
SETTINGS = TrialSettings(gate=GateSettings(z=1.0))

Floats = NDArray[np.float64]
ROWS = st.integers(200, 600)
SHIFTS = st.floats(-0.3, 0.3)


def slice_of(gain: float, n_rows: int = 300, se: float | None = 0.01) -> Slice:
    return Slice("origin", "JFK", Comparison(0.5, 0.5 - gain, gain, se, n_rows, 7))


def calibration_of(champion: float, challenger: float, se: float | None = 0.01) -> Comparison:
    return Comparison(champion, challenger, champion - challenger, se, 900, 7)


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        (Trial(WELL), ""),
        (Trial(replace(WELL, gain=0.005, challenger=0.495)), "not above 1 standard errors"),
        (Trial(WELL, slices=(slice_of(0.2), slice_of(-0.02))), "on origin = JFK worse by 0.02000 on 300 rows"),
        (Trial(WELL, slices=(slice_of(-0.02), slice_of(-0.03), slice_of(-0.04))), "worse by 0.04000 on 300 rows and 2 more"),
        (Trial(WELL, slices=(slice_of(-0.2, n_rows=199),)), ""),
        (Trial(WELL, slices=(slice_of(-0.009),)), ""),
        (Trial(WELL, slices=(slice_of(-0.012),)), "on origin = JFK worse by 0.01200"),
        (Trial(WELL, slices=(slice_of(-0.012), slice_of(0.2))), ""),  # of two, one is so far off by luck more often
        (Trial(SCARCELY, calibration=calibration_of(0.05, 0.07)), ""),
        (Trial(SCARCELY, calibration=calibration_of(0.05, 0.078)), ""),  # more than the margin, but not beyond the luck of its days
        (Trial(SCARCELY, calibration=calibration_of(0.05, 0.082)), "calibration error is 0.0820"),
        (Trial(SCARCELY, calibration=calibration_of(0.05, 0.08, se=None)), "calibration error is 0.0800"),
        (Trial(WELL, calibration=calibration_of(0.05, 0.22)), ""),  # it costs 0.09 nats at least, and the gain is 0.1 all the same
        (Trial(WELL, calibration=calibration_of(0.05, 0.24)), "calibration error is 0.2400"),
        (Trial(WELL, latency_ms=(1.0, 3.0)), ""),
        (Trial(WELL, latency_ms=(1.0, 3.1)), "takes 3.100 ms a row"),
        (Trial(WELL, latency_ms=(0.01, 0.49)), ""),
    ],
)
def test_the_first_that_speaks_against_it_is_named(trial: Trial, words: str) -> None:
    verdict = judge_trial(trial, SETTINGS)
    assert verdict.promote is (not words)
    assert words in verdict.reason


@given(
    seed=st.integers(0, 1_000),
    n_rows=ROWS,
    shifts=st.lists(SHIFTS, min_size=1, max_size=4),
    settings=st.builds(
        TrialSettings,
        gate=st.builds(GateSettings, min_gain=st.floats(0.0, 0.05), z=st.floats(0.0, 3.0), min_rows=st.integers(50, 300)),
        slice_margin=st.floats(0.0, 0.05),
        slice_min_rows=st.integers(1, 100),
        calibration_margin=st.floats(0.0, 0.1),
        latency_factor=st.floats(1.0, 4.0),
    ),
    sharpness=st.tuples(st.floats(0.2, 5.0), st.floats(0.2, 5.0)),
    latency=st.tuples(st.floats(0.01, 5.0), st.floats(0.01, 20.0)),
)
def test_what_is_promoted_is_worse_nowhere(
    seed: int,
    n_rows: int,
    shifts: list[float],
    settings: TrialSettings,
    sharpness: tuple[float, float],
    latency: tuple[float, float],
) -> None:
    """Drawn losses of two models over drawn slices; each slice's gain has its own mean. The law is checked with sums of its own."""
    rng = np.random.default_rng(seed)
    at_ms = np.sort(rng.integers(0, 200 * HOUR_MS, n_rows))
    places = rng.integers(0, len(shifts), n_rows)
    champion = rng.random(n_rows)
    challenger = champion - np.asarray(shifts)[places] + rng.normal(0, 0.1, n_rows)
    texts: dict[str, list[str | None]] = {"place": [None if place == 0 else f"p{place}" for place in places.tolist()]}
    slices = compare_slices(champion, challenger, at_ms, texts, settings.slice_min_rows)
    true = rng.random(n_rows)
    came, said = (rng.random(n_rows) < true).astype(np.float64), [true**power for power in sharpness]  # too low above 1, too high below
    calibration = compare(miscalibration(came, said[0]), miscalibration(came, said[1]), at_ms)
    trial = Trial(compare(champion, challenger, at_ms), slices, calibration, latency)
    verdict = judge_trial(trial, settings)
    if not verdict.promote:
        return
    gain = float((champion - challenger).mean())
    assert n_rows >= settings.gate.min_rows
    assert gain > 0 and gain >= settings.gate.min_gain
    assert trial.comparison.se is not None or settings.gate.z == 0
    assert gain > settings.gate.z * (trial.comparison.se or 0.0)
    z = z_of_slices(settings.gate.z, len(slices))
    assert z >= settings.gate.z
    for place in range(len(shifts)):
        mine = places == place
        if int(mine.sum()) >= settings.slice_min_rows:
            one = compare(champion[mine], challenger[mine], at_ms[mine])
            lost = float((challenger[mine] - champion[mine]).mean())
            assert lost <= settings.slice_margin + z * (one.se or 0.0) + 1e-12
    errors = [naive_calibration_error(came, each) for each in said]
    allowed = errors[0] + settings.calibration_margin + settings.gate.z * (calibration.se or 0.0)
    assert errors[1] <= allowed + 1e-12 or 2 * (errors[1] ** 2 - errors[0] ** 2) <= gain + 1e-12
    assert latency[1] <= max(settings.latency_floor_ms, settings.latency_factor * latency[0])


def test_slices_are_by_value_and_a_missing_one_is_not_the_empty_text() -> None:
    champion, challenger = np.array([0.5, 0.5, 0.5, 0.5, 0.5]), np.array([0.4, 0.4, 0.6, 0.6, 0.1])
    found = compare_slices(champion, challenger, np.arange(5), {"shop": ["a", "a", None, None, ""]}, least=1)
    assert [(one.column, one.value, one.comparison.n_rows, round(one.comparison.gain, 3)) for one in found] == [
        ("shop", None, 2, -0.1),
        ("shop", "", 1, 0.4),
        ("shop", "a", 2, 0.1),
    ]
    assert [one.value for one in compare_slices(champion, challenger, np.arange(5), {"shop": ["a", "a", None, None, ""]}, least=2)] == [
        None,
        "a",
    ]


def naive_calibration_error(correct: Floats, confidence: Floats) -> float:
    n_rows = len(correct)
    order = sorted(range(n_rows), key=lambda row: confidence[row])
    n_bins, total, begin = min(10, n_rows), 0.0, 0
    for number in range(n_bins):
        size = n_rows // n_bins + (number < n_rows % n_bins)
        rows = order[begin : begin + size]
        begin += size
        total += size / n_rows * abs(sum(correct[row] for row in rows) / size - sum(confidence[row] for row in rows) / size)
    return total


@given(st.integers(0, 500), st.integers(1, 400))
def test_a_calibration_error_is_that_of_a_naive_loop_and_never_above_the_worst_row(seed: int, n_rows: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.random(n_rows)
    correct = (rng.random(n_rows) < confidence).astype(np.float64)
    parts = miscalibration(correct, confidence)
    assert parts.mean() == pytest.approx(naive_calibration_error(correct, confidence))
    assert np.abs(parts).max() <= float(np.abs(correct - confidence).max()) + 1e-12


def test_of_two_equally_well_calibrated_models_one_is_seldom_said_to_be_worse() -> None:
    """A single comparison is beyond one standard error in a sixth of the cases by luck alone, and no oftener than a quarter here."""
    rng, against = np.random.default_rng(3), 0
    settings = TrialSettings(gate=GateSettings(z=1.0), calibration_margin=0.0)
    for _ in range(200):
        true = rng.random(400)
        came, at_ms = (rng.random(400) < true).astype(np.float64), np.sort(rng.integers(0, 48 * HOUR_MS, 400))
        said = [np.clip(true + rng.normal(0, 0.05, 400), 0.01, 0.99) for _ in range(2)]
        calibration = compare(miscalibration(came, said[0]), miscalibration(came, said[1]), at_ms)
        against += not judge_trial(Trial(SCARCELY, calibration=calibration), settings).promote
    assert against <= 50


def test_blocks_are_days_or_an_eighth_of_what_there_is() -> None:
    assert block_of(np.array([5, 5])) == 1
    few = compare(np.linspace(0.5, 0.6, 90), np.full(90, 0.5), np.arange(90) * 1_000)
    assert few.se is not None and few.n_blocks >= 8
    interval = few.interval()
    assert interval is not None
    assert interval[0] < few.gain < interval[1]
    assert compare(np.array([0.5]), np.array([0.4]), np.array([7])).interval() is None
