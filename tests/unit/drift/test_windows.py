"""The windowed detector: planted shifts are seen, ordinary cycles are not, and it only warns once."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from tidemill.clock import DAY_MS
from tidemill.drift import WINDOW_ROWS, ReferenceProfile, WindowedDrift, profile_reference

PER_WEEK = 3_000
Columns = dict[str, npt.NDArray[np.float64] | npt.NDArray[np.object_]]


def cyclic(n: int, seed: int, columns: int = 8) -> Columns:
    """Columns with a weekly cycle and autocorrelation up to 0.8, two of them categorical."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(n) / PER_WEEK
    made: Columns = {}
    for index in range(columns):
        rho = 0.8 * index / columns
        noise = rng.normal(size=n) * np.sqrt(1 - rho**2)
        for step in range(1, n):
            noise[step] += rho * noise[step - 1]
        made[f"x{index}"] = noise + 0.5 * np.sin(phase + index)
    for index in range(2):
        often = 0.4 + 0.2 * np.sin(phase + index)
        made[f"k{index}"] = np.where(rng.random(n) < often, "a", np.where(rng.random(n) < 0.7, "b", "c")).astype(object)
    return made


@cache
def profile() -> ReferenceProfile:
    n = 12 * PER_WEEK
    return profile_reference(cyclic(n, seed=0), np.random.default_rng(0).random(n), np.arange(n) * (7 * DAY_MS // PER_WEEK))


def test_no_more_than_one_false_alarm_in_ten_runs_of_four_weeks() -> None:
    alarms = 0
    for seed in range(1, 11):
        drift = WindowedDrift(profile())
        alarms += bool(drift.update(cyclic(4 * PER_WEEK, seed), np.arange(4 * PER_WEEK)))
    assert alarms <= 1


@pytest.mark.parametrize("kind", ["shift", "stuck", "missing", "new category", "all missing"])
def test_planted_changes_are_named_within_two_thousand_rows(kind: str) -> None:
    rows = cyclic(2 * PER_WEEK, seed=20)
    half = slice(PER_WEEK, None)
    rng = np.random.default_rng(5)
    if kind == "shift":
        rows["x3"][half] += 1.0
    elif kind == "stuck":
        rows["x3"][half] = rows["x3"][PER_WEEK]
    elif kind == "missing":
        rows["x3"][half] = np.where(rng.random(PER_WEEK) < 0.2, np.nan, rows["x3"][half])
    elif kind == "all missing":
        rows["x3"][half] = np.nan
    else:
        rows["k1"][half] = np.where(rng.random(PER_WEEK) < 0.2, "new", rows["k1"][half])
    name = "k1" if kind == "new category" else "x3"
    drift = WindowedDrift(profile())
    assert drift.update({key: values[:PER_WEEK] for key, values in rows.items()}, np.arange(PER_WEEK)) == []
    warnings = drift.update({key: values[half] for key, values in rows.items()}, np.arange(PER_WEEK, 2 * PER_WEEK))
    assert {warning.column for warning in warnings} == {name}
    assert warnings[0].statistic > warnings[0].threshold
    assert PER_WEEK <= warnings[0].since_ms < warnings[0].at_ms < PER_WEEK + 2_000


def test_a_change_that_stays_warns_once_and_stays_active() -> None:
    rows = cyclic(PER_WEEK, seed=20)
    rows["x3"] += 3.0
    drift = WindowedDrift(profile())
    assert [warning.column for warning in drift.update(rows, np.arange(PER_WEEK))] == ["x3"]
    assert [warning.column for warning in drift.active] == ["x3"]
    assert drift.active[0].at_ms == PER_WEEK - 1


def test_one_odd_window_is_no_warning_and_a_quiet_one_ends_the_run() -> None:
    rows = cyclic(4 * WINDOW_ROWS, seed=30)
    rows["x0"][:WINDOW_ROWS] += 5
    rows["x0"][2 * WINDOW_ROWS : 3 * WINDOW_ROWS] += 5
    drift = WindowedDrift(profile())
    assert drift.update(rows, 0) == []
    assert drift.active == []


def test_the_score_is_judged_when_given_and_left_alone_when_not() -> None:
    n = 2 * WINDOW_ROWS
    assert WindowedDrift(profile()).update(cyclic(n, seed=40), 0) == []
    warnings = WindowedDrift(profile()).update(cyclic(n, seed=40), 0, scores=np.full(n, 0.99))
    assert [warning.column for warning in warnings] == ["(score)"]


def test_a_missing_column_and_a_ragged_batch_are_refused_and_change_nothing() -> None:
    drift = WindowedDrift(profile())
    before = drift.state()
    rows = cyclic(10, seed=1)
    with pytest.raises(ValueError, match="lack: x0"):
        drift.update({key: values for key, values in rows.items() if key != "x0"}, 0)
    with pytest.raises(ValueError, match="different lengths"):
        drift.update({**rows, "x0": rows["x0"][:5]}, 0)
    assert drift.state() == before


def test_one_jumpy_column_does_not_blind_the_others() -> None:
    n = 12 * PER_WEEK
    rows: Columns = {f"x{index}": np.random.default_rng(index).normal(size=n) for index in range(12)}
    rows["jumpy"] = np.where(np.arange(n) < WINDOW_ROWS, np.nan, 1.0)
    known = profile_reference(rows, np.zeros(n), np.arange(n) * (7 * DAY_MS // PER_WEEK))
    drift = WindowedDrift(known)
    live = {key: values[-3 * WINDOW_ROWS :].copy() for key, values in rows.items()}
    live["x5"] += 1.0
    assert [warning.column for warning in drift.update(live, 0)] == ["x5"]


def test_a_reference_too_short_to_calibrate_never_warns() -> None:
    drift = WindowedDrift(profile_reference({"x": np.arange(300.0)}, np.zeros(300), np.arange(300)))
    assert drift.update({"x": np.full(1_000, 1e9)}, 0) == []
    assert drift.thresholds == {}
