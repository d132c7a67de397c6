"""Sudden errors: a flip of the concept is seen within some fifty labels, and no storm is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tidemill.clock import DAY_MS
from tidemill.drift import Alarm, OutcomeMonitor, OutcomeSettings

PER_DAY = 700


def watched(seed: int, days: int, *, flip_at: int | None = None, luck: float = 0.0) -> list[Alarm]:
    """Alarms of days that share their luck (sd in log-odds), whose labels flip from a row on."""
    rng = np.random.default_rng(seed)
    n = days * PER_DAY
    p = rng.beta(0.5, 0.5, n)
    odds = np.log(p / (1 - p)) + np.repeat(rng.normal(0, luck, days), PER_DAY)
    y = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(int)
    if flip_at is not None:
        y[flip_at:] = 1 - y[flip_at:]
    return OutcomeMonitor(OutcomeSettings()).update_many("1", y, p, np.arange(n) * (DAY_MS // PER_DAY))


@pytest.mark.parametrize("seed", range(4))
def test_a_flip_is_seen_within_150_labels(seed: int) -> None:
    flip_at = 10 * PER_DAY
    first = watched(seed, 12, flip_at=flip_at)[0]
    assert first.detector == "sudden"
    assert first.since_ms >= (flip_at - 50) * (DAY_MS // PER_DAY)
    assert first.at_ms < (flip_at + 150) * (DAY_MS // PER_DAY)
    assert "no luck of a day" in first.detail


@pytest.mark.no_cover  # hundreds of days through lines that the other tests cover
def test_stormy_days_are_no_change() -> None:
    assert [alarm for seed in range(3) for alarm in watched(seed, 60, luck=1.0) if alarm.detector == "sudden"] == []


def test_a_flip_that_stays_is_told_once() -> None:
    found = [alarm for alarm in watched(5, 20, flip_at=10 * PER_DAY) if alarm.detector == "sudden"]
    assert len(found) == 1


def test_a_restart_in_the_middle_of_a_block_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    n = 9 * PER_DAY
    p = rng.random(n)
    y = (rng.random(n) < p).astype(int)
    y[8 * PER_DAY :] = 1 - (p[8 * PER_DAY :] >= 0.5)
    at_ms = np.arange(n) * (DAY_MS // PER_DAY)
    whole = OutcomeMonitor()
    expected = whole.update_many("1", y, p, at_ms)
    monitor, alarms = OutcomeMonitor(), []
    for part in (slice(0, 8 * PER_DAY + 10), slice(8 * PER_DAY + 10, n)):
        state: dict[str, Any] = json.loads(json.dumps(monitor.state()))
        monitor = OutcomeMonitor.from_state(state)
        alarms += monitor.update_many("1", y[part], p[part], at_ms[part])
    assert alarms == expected
    assert expected[0].detector == "sudden"
    assert monitor.state() == whole.state()
