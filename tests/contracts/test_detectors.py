"""What every detector keeps: quiet on more of the same, loud on a change, and a state that is plain JSON and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tidemill.clock import HOUR_MS
from tidemill.drift import (
    Answer,
    BernoulliCusum,
    Certainty,
    FeatureDrift,
    OutcomeMonitor,
    OutcomeSettings,
    ResidualCusum,
    SizeCusum,
    WindowedDrift,
    profile_reference,
)
from tidemill.drift.baseline import BaselineBuilder
from tidemill.learning import Budget

N = 6_000


@dataclass(frozen=True)
class Kit:
    """One detector: a step of an ordinary or a changed stream returns how many signals it gave."""

    state: Callable[[], dict[str, Any]]
    restored: Callable[[Mapping[str, Any]], Kit]
    step: Callable[[int, bool], int]


def outcome(index: int, changed: bool) -> tuple[int, float, int]:
    rng = np.random.default_rng(index)
    p = rng.random()
    return int((rng.random() < p) != changed), p, index * 30 * 60_000


def windows(state: Mapping[str, Any] | None = None) -> Kit:
    rng = np.random.default_rng(0)
    profile = profile_reference({"x": rng.normal(size=4_000)}, rng.random(4_000), np.arange(4_000) * HOUR_MS)
    drift = WindowedDrift(profile) if state is None else WindowedDrift.from_state(profile, state)

    def step(index: int, changed: bool) -> int:
        return len(drift.update({"x": np.random.default_rng(index).normal(3.0 * changed, size=1)}, index))

    return Kit(drift.state, windows, step)


def features(state: Mapping[str, Any] | None = None) -> Kit:
    rng = np.random.default_rng(0)
    profile = profile_reference({"x": rng.normal(size=4_000)}, rng.random(4_000), np.arange(4_000) * HOUR_MS)
    rarely = Budget.parse("1/9999d")
    drift = FeatureDrift(profile, rarely) if state is None else FeatureDrift.from_state(profile, state, rarely)

    def step(index: int, changed: bool) -> int:
        return len(drift.update({"x": np.random.default_rng(index).normal(3.0 * changed, size=1)}, index * HOUR_MS))

    return Kit(drift.state, features, step)


def outcomes(state: Mapping[str, Any] | None = None) -> Kit:
    monitor = OutcomeMonitor() if state is None else OutcomeMonitor.from_state(state)
    return Kit(monitor.state, outcomes, lambda index, changed: int(monitor.update("1", *outcome(index, changed)) is not None))


def value(index: int, changed: bool) -> tuple[float, float, int]:
    rng = np.random.default_rng(index)
    predicted = 20 * rng.random()
    return predicted + 3 * rng.standard_t(3) + 9 * changed, predicted, index * 30 * 60_000


def classes(state: Mapping[str, Any] | None = None) -> Kit:
    monitor = OutcomeMonitor(task="multiclass") if state is None else OutcomeMonitor.from_state(state)

    def step(index: int, changed: bool) -> int:
        y, p, at_ms = outcome(index, changed=False)
        return int(monitor.update("1", y * (not changed), p, at_ms) is not None)

    return Kit(monitor.state, classes, step)


def values(state: Mapping[str, Any] | None = None) -> Kit:
    monitor = OutcomeMonitor(task="regression") if state is None else OutcomeMonitor.from_state(state)
    return Kit(monitor.state, values, lambda index, changed: int(monitor.update("1", *value(index, changed)) is not None))


def sizes(state: Mapping[str, Any] | None = None) -> Kit:
    settings, builder = OutcomeSettings(), BaselineBuilder()
    for index in range(2 * N, 3 * N):
        y, p, at_ms = value(index, changed=False)
        builder.add(abs(y - p), y - p, at_ms, settings)
    cusum = SizeCusum(builder.freeze(settings, unit=1.0), settings)
    if state is not None:
        cusum.load(state)

    def step(index: int, changed: bool) -> int:
        y, p, at_ms = value(index, changed)
        return int(cusum.update(abs(y - p), at_ms) is not None)

    return Kit(cusum.state, sizes, step)


def _baseline_and_settings() -> tuple[Any, OutcomeSettings]:
    settings, builder = OutcomeSettings(), BaselineBuilder()
    for index in range(-N, 0):
        y, p, at_ms = outcome(index + 3 * N, changed=False)
        builder.add((p >= 0.5) != (y == 1), y - p, at_ms, settings)
    return builder.freeze(settings), settings


def errors(state: Mapping[str, Any] | None = None) -> Kit:
    cusum = BernoulliCusum(*_baseline_and_settings())
    if state is not None:
        cusum.load(state)

    def step(index: int, changed: bool) -> int:
        y, p, at_ms = outcome(index, changed)
        return int(cusum.update((p >= 0.5) != (y == 1), at_ms) is not None)

    return Kit(cusum.state, errors, step)


def residuals(state: Mapping[str, Any] | None = None) -> Kit:
    cusum = ResidualCusum(*_baseline_and_settings())
    if state is not None:
        cusum.load(state)

    def step(index: int, changed: bool) -> int:
        y, p, at_ms = outcome(index, changed=False)
        return int(cusum.update((1 if changed else y) - p, at_ms) is not None)

    return Kit(cusum.state, residuals, step)


def certainty(state: Mapping[str, Any] | None = None) -> Kit:
    watch = Certainty(OutcomeSettings())
    if state is None:
        for index in range(-N, 0):
            y, p, at_ms = outcome(index + 3 * N, changed=False)
            watch.update(Answer(p, y - p, p * (1 - p)), at_ms - 3 * N * 30 * 60_000)
    else:
        watch.load(state)

    def step(index: int, changed: bool) -> int:
        y, p, at_ms = outcome(index, changed)
        return int(watch.update(Answer(p, y - p, p * (1 - p)), at_ms) is not None)

    return Kit(watch.state, certainty, step)


DETECTORS = [windows, features, outcomes, classes, values, errors, sizes, residuals, certainty]


@pytest.fixture(params=DETECTORS, ids=lambda make: make.__name__)
def kit(request: pytest.FixtureRequest) -> Kit:
    made: Kit = request.param()
    return made


def test_quiet_on_more_of_the_same(kit: Kit) -> None:
    assert sum(kit.step(index, False) for index in range(2_000)) == 0


def test_loud_on_a_change(kit: Kit) -> None:
    for index in range(1_000):
        kit.step(index, False)
    assert sum(kit.step(index, True) for index in range(1_000, 2_000)) >= 1


@pytest.mark.parametrize("at", [0, 1, 150, 499, 1_000, 1_233])
def test_saving_and_restoring_changes_nothing(kit: Kit, at: int) -> None:
    for index in range(at):
        kit.step(index, index >= 1_000)
    twin = kit.restored(json.loads(json.dumps(kit.state(), allow_nan=False)))
    assert twin.state() == kit.state()
    for index in range(at, 1_500):
        assert twin.step(index, index >= 1_000) == kit.step(index, index >= 1_000)
    assert twin.state() == kit.state()


def test_a_state_is_a_copy(kit: Kit) -> None:
    before = kit.state()
    text = json.dumps(before)
    for index in range(50):
        kit.step(index, False)
    assert json.dumps(before) == text
