"""When a change began, held to a naive search, and to changes whose beginning is known."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import Alarm, dated_again
from tidemill.learning import Task

ALARM = Alarm("1", "residual", 12.0, 11.0, since_ms=0, at_ms=1_000 * DAY_MS, n_labels=1, detail="")


def naive(off: list[float], at_ms: list[int]) -> int | None:
    """Every place, by the definition: the one that leaves the least squares, if it is three standard errors worse behind it."""
    n, best, place = len(off), 0.0, None
    for each in range(50, n - 50 + 1):
        rise = fmean(off[each:]) - fmean(off[:each])
        explained = rise * abs(rise) * each * (n - each)
        if explained > best * (1 + 1e-9):
            best, place = explained, each
    if place is None:
        return None
    means = fmean(off[:place]), fmean(off[place:])
    length = min(DAY_MS, max(1, (at_ms[-1] - at_ms[0]) // 8))
    blocks: dict[tuple[int, bool], float] = defaultdict(float)
    squares = 0.0
    for number, (value, time) in enumerate(zip(off, at_ms, strict=True)):
        rest = value - means[number >= place]
        squares += rest**2
        blocks[time // length, number >= place] += rest
    if len(blocks) > 2:
        squares = max(squares, sum(rest**2 for rest in blocks.values()) * len(blocks) / (len(blocks) - 2))
    error = (squares / n * (1 / place + 1 / (n - place))) ** 0.5
    return at_ms[place] if means[1] - means[0] > 3 * error else None


@given(
    parts=st.lists(st.tuples(st.integers(0, 90), st.sampled_from([0.0, 0.1, 0.3, 0.9])), max_size=4),
    seed=st.integers(0, 1_000),
    regression=st.booleans(),
    step_ms=st.sampled_from([4, HOUR_MS]),
)
@settings(max_examples=150, deadline=None)
def test_it_is_the_place_that_a_search_of_all_finds(parts: list[tuple[int, float]], seed: int, regression: bool, step_ms: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.zeros(0), *((rng.random(n) < share).astype(float) for n, share in parts)])
    p = rng.random(len(y))
    at_ms = np.cumsum(rng.integers(1, step_ms, len(y)))
    off = np.abs(y - p) if regression else (y - p) ** 2
    began = naive(off.tolist(), at_ms.tolist())
    shuffled = rng.permutation(len(y))
    alarm = dated_again(ALARM, "regression" if regression else "binary", y[shuffled], p[shuffled], at_ms[shuffled])
    if began is None:
        assert alarm == ALARM
    else:
        assert alarm == replace(ALARM, since_ms=began, n_labels=int((at_ms >= began).sum()))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_change_after_the_last_zero_is_found_within_some_rows(task: Task) -> None:
    missed = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        share = np.where(np.arange(5_000) < 3_300, 0.1, 0.25)
        y = (rng.random(5_000) < share).astype(float)
        alarm = dated_again(ALARM, task, y, np.full(5_000, 0.1), np.arange(5_000) * 100_000)
        missed.append(abs(alarm.since_ms / 100_000 - 3_300))
    assert np.median(missed) <= 60


def test_outcomes_outside_of_the_alarms_span_do_not_move_it() -> None:
    y = np.concatenate([np.ones(500), np.zeros(600), np.ones(500)])
    alarm = replace(ALARM, since_ms=500, at_ms=1_099)
    assert dated_again(alarm, "binary", y, np.full(1_600, 0.1), np.arange(1_600)) == alarm


def test_a_world_that_became_better_moves_nothing() -> None:
    y = np.concatenate([np.ones(300), np.zeros(300)])
    assert dated_again(ALARM, "binary", y, np.full(600, 0.1), np.arange(600)) == ALARM


def test_luck_alone_seldom_dates_a_change() -> None:
    rng = np.random.default_rng(5)
    moved = 0
    for _ in range(200):
        y = (rng.random(3_000) < 0.2).astype(float)
        moved += dated_again(ALARM, "binary", y, np.full(3_000, 0.2), np.arange(3_000)) != ALARM
    assert moved <= 20


def test_bad_days_are_no_change_where_days_have_their_luck() -> None:
    rng = np.random.default_rng(6)
    moved = 0
    for _ in range(50):
        share = np.repeat(np.clip(0.25 + 0.12 * rng.standard_normal(12), 0.02, 0.9), 250)
        y = (rng.random(3_000) < share).astype(float)
        moved += dated_again(ALARM, "binary", y, np.full(3_000, 0.2), np.arange(3_000) * (DAY_MS // 250)) != ALARM
    assert moved <= 5
