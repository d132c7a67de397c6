"""Weeks are judged as a full recompute would, and a closed one only once.

```
       week 0            week 1            week 2 (open)
  |----- v1 ------|-- v1 -->|<-- v2 --|-- v2 ..now
```
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.ui.ferry import START_MS, Ferry
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.learning.metrics import losses, weekly
from tidemill.stores import Judged, QualityReader
from tidemill.ui.quality_cache import WEEK_MS, QualityCache, Run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The starts of the weeks read from the stores, in order; the reading itself is the real one."""
    starts: list[int] = []
    real = QualityReader.judged

    def judged(self: QualityReader, *args: object) -> Judged:
        starts.append(args[2])  # type: ignore[arg-type]  # judged(model, label, from_ms, to_ms)
        return real(self, *args)  # type: ignore[arg-type]  # as handed in

    monkeypatch.setattr(QualityReader, "judged", judged)
    return starts


def test_the_weeks_are_those_of_a_full_recompute(ferry: Ferry) -> None:
    ferry.sail(10)
    ferry.sail(6, first_day=10, version=2)
    model, now_ms = ferry.workspace.project.models[0], ferry.workspace.now_ms()
    read = QualityCache(clock_s=lambda: 0.0).read(ferry.workspace, model, now_ms)
    rows = ferry.workspace.quality.judged(model.name, model.label, 0, now_ms)
    for role, field in (("champion", "live"), ("frozen", "frozen")):
        mine = rows.of_role(role)
        assert {week.start_ms: getattr(week, field) for week in read.weeks} == weekly(mine.at_ms, mine.outcome, mine.said, WEEK_MS)
        assert read.mean(field, "log_loss") == pytest.approx(np.mean(losses(mine.outcome, mine.said)))
    assert read.n_labelled == 16 * 24
    assert [week.closed for week in read.weeks] == [True, True, False]


def test_the_runs_say_when_another_version_began(ferry: Ferry) -> None:
    ferry.sail(10)
    ferry.sail(6, first_day=10, version=2)
    read = QualityCache(clock_s=lambda: 0.0).read(ferry.workspace, ferry.workspace.project.models[0], ferry.workspace.now_ms())
    assert read.runs == (Run("1", START_MS + 8 * HOUR_MS), Run("2", START_MS + 10 * DAY_MS + 8 * HOUR_MS))


def test_a_closed_week_is_judged_once_and_an_open_one_again(ferry: Ferry, asked: list[int]) -> None:
    clock_s = [0.0]
    cache, model = QualityCache(clock_s=lambda: clock_s[0]), ferry.workspace.project.models[0]
    ferry.sail(10)
    first = cache.read(ferry.workspace, model, ferry.workspace.now_ms())
    assert sorted(asked) == [START_MS, START_MS + WEEK_MS]

    asked.clear()
    ferry.sail(1, first_day=10)
    clock_s[0] = 1.0
    assert cache.read(ferry.workspace, model, ferry.workspace.now_ms()) == first
    assert asked == []  # the open week is at most 5 s old
    clock_s[0] = 6.0
    assert cache.read(ferry.workspace, model, ferry.workspace.now_ms()).n_labelled == first.n_labelled + 24
    assert asked == [START_MS + WEEK_MS]

    asked.clear()
    clock_s[0] = 60.0
    cache.read(ferry.workspace, model, ferry.workspace.now_ms())
    assert asked == []  # stream time stands still, so nothing can have changed


@pytest.mark.parametrize(("after_ms", "closed"), [(0, False), (1, True)])
def test_a_week_closes_once_its_end_and_the_label_time_have_passed(ferry: Ferry, after_ms: int, closed: bool) -> None:
    ferry.sail(3)
    read = QualityCache(clock_s=lambda: 0.0).read(
        ferry.workspace, ferry.workspace.project.models[0], START_MS + WEEK_MS + DAY_MS + after_ms
    )
    assert [week.closed for week in read.weeks] == [closed]


def test_without_time_the_newest_weeks_come_first_and_the_rest_follows(ferry: Ferry) -> None:
    seconds = iter(range(1_000))
    cache, model = QualityCache(budget_s=0.0, clock_s=lambda: float(next(seconds))), ferry.workspace.project.models[0]
    ferry.sail(25)
    now_ms = ferry.workspace.now_ms()
    read = [cache.read(ferry.workspace, model, now_ms) for _ in range(3)]
    assert [[(week.start_ms - START_MS) // WEEK_MS for week in each.weeks] for each in read] == [[2, 3], [1, 2, 3], [0, 1, 2, 3]]
    assert [each.complete for each in read] == [False, False, True]


def test_where_no_outcome_means_something_rows_without_one_count_once_the_time_is_over(ferry: Ferry) -> None:
    """Of 24 trips a day one arrives; the others count as on time, all of them a day after they were asked."""
    asked_ms = START_MS + 8 * HOUR_MS
    ferry.predict([f"t{number}" for number in range(24)], asked_ms, 1, ([0.2] * 24, [0.2] * 24))
    ferry.arrive(["t0"], asked_ms + HOUR_MS, [20.0])
    model = ferry.workspace.project.models[0]
    absent = replace(model, label=replace(model.label, absent=0.0))
    early = QualityCache(clock_s=lambda: 0.0).read(ferry.workspace, absent, asked_ms + 2 * HOUR_MS)
    later = QualityCache(clock_s=lambda: 0.0).read(ferry.workspace, absent, asked_ms + DAY_MS + 1)
    assert (early.n_labelled, later.n_labelled) == (0, 24)
    assert later.mean("live", "log_loss") == pytest.approx(-(np.log(0.2) + 23 * np.log(0.8)) / 24)


def test_no_prediction_is_no_week(ferry: Ferry) -> None:
    read = QualityCache(clock_s=lambda: 0.0).read(ferry.workspace, ferry.workspace.project.models[0], START_MS)
    assert (read.weeks, read.n_labelled, read.mean("live", "log_loss"), read.mean("live", "auc")) == ((), 0, None, None)
