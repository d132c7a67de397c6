"""Labelled outcomes: each version against its own first week, days that share their luck, and both kinds of change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest

from tests.golden import make_alarms
from tidemill.clock import DAY_MS
from tidemill.drift import Alarm, OutcomeMonitor, OutcomeSettings
from tidemill.learning import Task

PER_DAY = 300
Day = tuple[npt.NDArray[Any], npt.NDArray[np.float64], npt.NDArray[np.int64]]


def days(n_days: int, seed: int, luck: float = 0.4, shift: float = 0.0, first: int = 0) -> Iterator[Day]:
    """Days of outcomes of a model that is calibrated on average, but whose days share their luck (log-odds); `shift` makes it wrong."""
    rng = np.random.default_rng(seed)
    for day in range(first, first + n_days):
        odds = rng.normal(-1.2, 1.0, PER_DAY)
        p = 1 / (1 + np.exp(-odds))
        y = rng.random(PER_DAY) < 1 / (1 + np.exp(-(odds + rng.normal(0, luck) + shift)))
        yield y.astype(np.int64), p, day * DAY_MS + np.sort(rng.integers(0, DAY_MS, PER_DAY))


def feed(monitor: OutcomeMonitor, version: str, made: Iterator[Day]) -> list[Alarm]:
    return [alarm for y, p, at_ms in made for alarm in monitor.update_many(version, y, p, at_ms)]


def test_the_baseline_needs_both_500_labels_and_a_whole_week() -> None:
    busy, slow = OutcomeMonitor(), OutcomeMonitor()
    feed(busy, "1", days(7, seed=0))
    assert busy.n_labels("1") == 7 * PER_DAY
    assert busy.baseline("1") is None
    feed(busy, "1", days(1, seed=1, first=7))
    assert busy.baseline("1") is not None
    for hour in range(499):
        slow.update("1", hour % 2, 0.5, hour * DAY_MS // 10)
    assert slow.baseline("1") is None
    slow.update("1", 1, 0.5, 60 * DAY_MS)
    assert slow.baseline("1") is not None


@pytest.mark.parametrize(("luck", "most"), [(0.4, 5), (0.8, 20 * 52 // 30)])
@pytest.mark.no_cover  # hundreds of days through lines that the other tests cover
def test_lucky_and_unlucky_days_alarm_at_most_once_in_thirty(luck: float, most: int) -> None:
    """20 runs of 52 judged days in which nothing changes."""
    assert sum(len(feed(OutcomeMonitor(), "1", days(60, seed, luck))) for seed in range(20)) <= most


@pytest.mark.parametrize("shift", [1.5, -1.5])
def test_a_shift_of_the_outcomes_either_way_is_found_and_dated(shift: float) -> None:
    since = []
    for seed in range(1, 12, 2):
        monitor = OutcomeMonitor()
        assert feed(monitor, "1", days(30, seed=seed)) == []
        alarms = feed(monitor, "1", days(14, seed=seed + 1, shift=shift, first=30))
        since.append(next(alarm for alarm in alarms if alarm.detector == "residual").since_ms)
        assert all(alarm.statistic >= alarm.threshold and alarm.n_labels > 0 for alarm in alarms)
        assert all(alarm.since_ms <= alarm.at_ms <= 44 * DAY_MS for alarm in alarms)
    assert 28 * DAY_MS <= np.median(since) <= 32 * DAY_MS  # its last zero may lie before by luck


def test_flipped_labels_raise_the_error_alarm_within_two_days() -> None:
    monitor = OutcomeMonitor()
    feed(monitor, "1", days(10, seed=1))
    flipped = ((1 - y, p, at_ms) for y, p, at_ms in days(5, seed=3, first=10))
    alarms = feed(monitor, "1", flipped)
    first = next(alarm for alarm in alarms if alarm.detector == "error")
    assert 9.9 * DAY_MS <= first.since_ms <= first.at_ms < 12.1 * DAY_MS
    assert "were wrong" in first.detail


def test_late_labels_of_the_old_version_do_not_touch_the_new_one() -> None:
    alone, mixed = OutcomeMonitor(), OutcomeMonitor()
    for good, bad in zip(days(20, seed=1), days(20, seed=2, shift=3.0), strict=True):
        alone.update_many("2", *good)
        mixed.update_many("1", *bad)
        mixed.update_many("2", *good)
    assert mixed.state()["versions"]["2"] == alone.state()["versions"]["2"]
    mixed.forget("1")
    assert mixed.versions == ("2",)


def test_after_an_alarm_the_same_baseline_finds_the_same_trouble_again() -> None:
    monitor = OutcomeMonitor()
    feed(monitor, "1", days(10, seed=1))
    baseline = monitor.baseline("1")
    alarms = feed(monitor, "1", days(60, seed=2, shift=2.0, first=10))
    assert len([alarm for alarm in alarms if alarm.detector == "residual"]) >= 2
    assert monitor.baseline("1") == baseline


def test_a_model_biased_from_its_first_week_is_held_to_its_own_bias() -> None:
    monitor = OutcomeMonitor()
    assert feed(monitor, "1", days(40, seed=4, shift=-3.0)) == []
    baseline = monitor.baseline("1")
    assert baseline is not None
    assert baseline.center < -0.1


@pytest.mark.parametrize(("y", "p"), [(2, 0.5), (0.5, 0.5), (-1, 0.5), (float("nan"), 0.5), (1, 1.1), (1, float("nan"))])
def test_only_binary_outcomes_and_probabilities(y: float, p: float) -> None:
    monitor = OutcomeMonitor()
    with pytest.raises(ValueError, match="not"):
        monitor.update("1", y, p, 0)
    with pytest.raises(ValueError, match="not"):
        monitor.update_many("1", [0, y], [0.5, p], [0, 1])
    assert monitor.versions == ()


def test_an_outcome_of_0_or_1_raises_the_alarms_it_always_did() -> None:
    """See `tests/golden/make_alarms.py`."""
    found, kept = json.loads(json.dumps(make_alarms.alarms())), json.loads(make_alarms.FILE.read_text(encoding="utf-8"))
    assert [name for name, value in leaves(found)] == [name for name, value in leaves(kept)]
    for (name, value), (_, wanted) in zip(leaves(found), leaves(kept), strict=True):
        assert value == (pytest.approx(wanted, rel=1e-9, abs=1e-12) if isinstance(wanted, float) else wanted), name


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested objects and arrays, each with the way to it."""
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, f"{name}.{key}")
    else:
        yield name, value


def valued(
    n_days: int, seed: int, tail: float = 30.0, luck: float = 0.3, scale: float = 1.0, shift: float = 0.0, first: int = 0
) -> Iterator[Day]:
    """Days of values of around 1,000 and predictions that are off by some 40; days share their luck, `tail` says how heavy errors are."""
    rng = np.random.default_rng(seed)
    for day in range(first, first + n_days):
        p = rng.normal(1_000, 200, PER_DAY)
        off = 40 * (scale * rng.standard_t(tail, PER_DAY) + luck * rng.normal() + shift)
        yield p + off, p, day * DAY_MS + np.sort(rng.integers(0, DAY_MS, PER_DAY))


@pytest.mark.parametrize("tail", [30.0, 2.5])
@pytest.mark.no_cover  # hundreds of days through lines that the other tests cover
def test_values_alarm_at_most_once_in_thirty_days_in_which_nothing_changes(tail: float) -> None:
    """8 runs of 52 judged days, with normal errors and with ones of which a few are huge."""
    assert sum(len(feed(OutcomeMonitor(task="regression"), "1", valued(60, seed, tail))) for seed in range(8)) <= 8 * 52 // 30


@pytest.mark.parametrize("tail", [30.0, 2.5])
def test_values_that_are_off_by_twice_as_much_are_found_within_days_whatever_the_tails(tail: float) -> None:
    monitor = OutcomeMonitor(task="regression")
    assert feed(monitor, "1", valued(20, 1, tail)) == []
    alarm = next(one for one in feed(monitor, "1", valued(8, 2, tail, scale=2.0, first=20)) if one.detector == "size")
    assert 19.5 * DAY_MS <= alarm.since_ms <= alarm.at_ms < 26 * DAY_MS
    off, before = (float(word) for word in (alarm.detail.split()[4], alarm.detail.split()[-4]))
    assert off > 1.3 * before > 30, alarm.detail


@pytest.mark.parametrize(("shift", "word"), [(1.0, "low"), (-1.0, "high")])
def test_values_that_are_off_to_one_side_are_found(shift: float, word: str) -> None:
    monitor = OutcomeMonitor(task="regression")
    feed(monitor, "1", valued(20, 1))
    alarm = next(one for one in feed(monitor, "1", valued(14, 2, shift=shift, first=20)) if one.detector == "residual")
    assert 19 * DAY_MS <= alarm.since_ms <= alarm.at_ms <= 27 * DAY_MS
    assert f"predictions are too {word} by" in alarm.detail


def test_one_absurd_outcome_is_no_alarm_and_units_do_not_matter() -> None:
    plain, huge, small = (OutcomeMonitor(task="regression") for _ in range(3))
    for y, p, at_ms in valued(30, 5):
        spoilt = y.copy()
        spoilt[7] = 1e9
        assert huge.update_many("1", spoilt, p, at_ms) == []
        alarms = plain.update_many("1", y, p, at_ms), small.update_many("1", y / 1024, p / 1024, at_ms)
        assert alarms == ([], [])
    assert plain.statistics("1") == pytest.approx(small.statistics("1"))
    assert set(plain.statistics("1")) == {"size", "residual", "certainty"}


def test_a_perfect_beginning_is_no_trouble() -> None:
    monitor = OutcomeMonitor(task="regression")
    for y, _, at_ms in valued(10, 1):
        assert monitor.update_many("1", y, y, at_ms) == []
    assert feed(monitor, "1", valued(2, 1, first=10))[0].detector in ("sudden", "size")
    with pytest.raises(ValueError, match="numbers, not"):
        monitor.update("1", float("nan"), 0.0, 0)


def told(n_days: int, seed: int, accuracy: float, first: int = 0) -> Iterator[Day]:
    """Days of whether the most probable of several classes came true, and its probability: often below a half, and right on average."""
    rng = np.random.default_rng(seed)
    for day in range(first, first + n_days):
        p = rng.uniform(0.3, 0.9, PER_DAY)
        y = rng.random(PER_DAY) < p * accuracy / 0.6
        yield y.astype(np.int64), p, day * DAY_MS + np.sort(rng.integers(0, DAY_MS, PER_DAY))


def test_of_several_classes_another_one_that_comes_true_is_an_error_however_sure_it_was() -> None:
    monitor = OutcomeMonitor(task="multiclass")
    assert feed(monitor, "1", told(30, 1, accuracy=0.6)) == []
    baseline = monitor.baseline("1")
    assert baseline is not None and baseline.error_rate == pytest.approx(0.4, abs=0.03) and abs(baseline.center) < 0.02
    alarms = feed(monitor, "1", told(8, 2, accuracy=0.15, first=30))
    first = next(alarm for alarm in alarms if alarm.detector == "error")
    assert 29.5 * DAY_MS <= first.since_ms <= first.at_ms < 35 * DAY_MS
    later = next(alarm for alarm in alarms if alarm.detector == "residual")
    assert "the most probable class came true less often than its probability said" in later.detail


def test_a_state_says_of_which_task_it_is() -> None:
    for task in get_args(Task):
        again = OutcomeMonitor.from_state(OutcomeMonitor(task=task).state())
        assert again.task == task
    assert OutcomeMonitor.from_state({"versions": {}}).task == "binary", "of before there were others"


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="do not match"):
        OutcomeMonitor().update_many("1", [0, 1], [0.5], [0, 1])


@pytest.mark.parametrize("bad", [{"error_ratios": (0.9,)}, {"error_ratios": ()}, {"baseline_labels": 1}, {"block_ms": 0}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"above"):
        OutcomeSettings(**bad)  # type: ignore[arg-type]  # the same
