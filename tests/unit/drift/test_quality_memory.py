"""Windows are judged once when closed, estimated before their labels, and the estimate is held against them.

```
 day 0 ........ day 19      day 20       day 21 = now
 closed: within is over    | so far: 24 h for a label |
```
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.ui.ferry import START_MS, Ferry
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.drift import QualityMemory, QualityReport, report_quality
from tidemill.drift.quality_json import quality_json
from tidemill.errors import ProjectError
from tidemill.learning import Model, measure
from tidemill.learning.outcomes import settled
from tidemill.stores import Followed, QualityReader


@pytest.fixture
def ferry(tmp_path: Path) -> Iterator[Ferry]:
    made = Ferry.open(tmp_path)
    yield made
    made.close()


def model_of(ferry: Ferry) -> Model:
    return ferry.workspace.project.models[0]


def look(ferry: Ferry, now_ms: int | None = None) -> QualityReport:
    memory = QualityMemory(budget_s=float("inf"))
    return report_quality(memory.read(ferry.workspace, model_of(ferry), ferry.workspace.now_ms() if now_ms is None else now_ms))


def test_before_labels_there_is_an_estimate_and_after_them_it_is_held_against_what_came(ferry: Ferry) -> None:
    ferry.hold(1)
    ferry.sail(20, trips_a_day=40)
    morning_ms = START_MS + 20 * DAY_MS + 8 * HOUR_MS
    ferry.predict([f"new{number}" for number in range(40)], morning_ms, 1, ([0.3] * 40, [0.3] * 40))
    report = look(ferry, morning_ms)
    newest = report.windows[-1]
    assert (newest.n_asked, newest.live.n, newest.closed) == (40, 0, False)
    assert newest.estimated.n == 40
    assert newest.live.figures == {}
    assert report.labels.n_labelled == 800
    rows = ferry.workspace.quality.judged("late_ferry", model_of(ferry).label, START_MS, START_MS + DAY_MS).of_role("champion")
    assert report.windows[0].live == measure(rows.outcome, rows.said)
    trust = report.trust["accuracy"]
    assert trust.n_windows == 19  # the 20th day may still get labels
    assert trust.n_held >= 16
    assert trust.error < 0.15
    assert [(one.version, one.n) for one in report.versions] == [("1", 800)]


def test_where_too_few_windows_were_judged_the_interval_is_said_to_be_provisional(ferry: Ferry) -> None:
    ferry.hold(1)
    ferry.hold(2, days=2)
    ferry.sail(2)
    assert look(ferry).provisional == ()
    ferry.sail(2, first_day=2, version=2)
    report = look(ferry)
    assert report.provisional == (2,)
    assert quality_json("late_ferry", report)["provisional_versions"] == [2]


def test_a_version_that_is_not_held_here_has_labels_but_no_estimate(ferry: Ferry) -> None:
    ferry.sail(3)
    report = look(ferry)
    assert not report.has_estimate
    assert report.trust == {}
    assert report.windows[0].live.n == 24


def test_how_many_labels_are_usual_by_now_is_told_by_the_closed_windows(ferry: Ferry) -> None:
    ferry.sail(10)
    at_ms = START_MS + 10 * DAY_MS + 8 * HOUR_MS
    ferry.predict([f"n{number}" for number in range(10)], at_ms, 1, ([0.3] * 10, [0.3] * 10))
    early, late = look(ferry, at_ms + 30 * MINUTE_MS), look(ferry, at_ms + 3 * HOUR_MS)
    assert early.labels.lag_ms["p50"] == pytest.approx(90 * MINUTE_MS, rel=0.1)
    assert early.windows[-1].expected_share == pytest.approx(0.0, abs=0.05)
    assert late.windows[-1].expected_share == pytest.approx(1.0)  # none of them came: the page says 0 % of the usual 100 %
    assert (late.windows[-1].live.n, late.windows[-1].labelled_share) == (0, 0.0)


def test_a_closed_window_is_judged_once_and_an_open_one_again(ferry: Ferry, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[int] = []
    real = QualityReader.followed

    def followed(self: QualityReader, *args: object, **rest: object) -> Followed:
        starts.append((args[2][0] - START_MS) // DAY_MS)  # type: ignore[index]  # followed(model, label, span)
        return real(self, *args, **rest)  # type: ignore[arg-type]  # as handed in

    monkeypatch.setattr(QualityReader, "followed", followed)
    ferry.sail(5)
    clock_s = [0.0]
    memory = QualityMemory(clock_s=lambda: clock_s[0])
    first = memory.read(ferry.workspace, model_of(ferry), ferry.workspace.now_ms())
    assert (sorted(starts), first.complete) == ([0, 1, 2, 3, 4], True)
    starts.clear()
    clock_s[0] = 60.0
    ferry.leave("later", ferry.workspace.now_ms() + 6 * HOUR_MS)
    again = memory.read(ferry.workspace, model_of(ferry), ferry.workspace.now_ms())
    assert sorted(starts) == [3, 4]
    assert again.windows[:3] == first.windows[:3]


def test_where_no_outcome_means_something_labels_count_only_once_the_time_is_over(ferry: Ferry) -> None:
    asked_ms = START_MS + 8 * HOUR_MS
    for day, trips in ((0, ["a", "b"]), (5, ["c", "d"])):
        ferry.predict(trips, asked_ms + day * DAY_MS, 1, ([0.2, 0.2], [0.2, 0.2]))
        ferry.arrive(trips[:1], asked_ms + day * DAY_MS + HOUR_MS, [20.0])
    label = replace(model_of(ferry).label, absent=0.0)
    rows = ferry.workspace.quality.followed("late_ferry", label, (START_MS, START_MS + 6 * DAY_MS))
    mine = rows.role == "champion"
    np.testing.assert_array_equal(settled(rows, label, START_MS + 6 * DAY_MS)[mine], [1.0, 0.0, np.nan, np.nan])
    np.testing.assert_array_equal(settled(rows, model_of(ferry).label, START_MS + 6 * DAY_MS)[mine], [1.0, np.nan, 1.0, np.nan])


def test_no_interval_goes_beyond_what_its_metric_can_be(ferry: Ferry) -> None:
    """Two days are right and one is wrong: three windows that differ by all there is, so that the plain interval is far too wide."""
    for day, said in enumerate((0.9, 0.9, 0.01)):
        trips, asked_ms = [f"t{day}{number}" for number in range(10)], START_MS + day * DAY_MS + 8 * HOUR_MS
        ferry.predict(trips, asked_ms, 1, ([said] * 10, [said] * 10))
        ferry.arrive(trips, asked_ms + HOUR_MS, [20.0] * 10)
    report = look(ferry)
    figures, losses = report.versions[0].figures, [one.loss for one in report.slices]
    assert figures["accuracy"].value == pytest.approx(2 / 3)
    assert (figures["accuracy"].low, figures["accuracy"].high) == (0.0, 1.0)
    assert [one.low for one in (figures["log_loss"], *losses)] == [0.0] * (1 + len(losses))


def test_the_report_is_plain_json(ferry: Ferry) -> None:
    ferry.hold(1)
    ferry.sail(4, trips_a_day=40)
    found = quality_json("late_ferry", look(ferry))
    assert found["windows"][0]["estimated"]["accuracy"].keys() == {"value", "low", "high"}
    assert found["labels"]["n_asked"] == 160
    assert found["window_ms"] == DAY_MS


def test_a_slice_must_be_a_text_column_of_the_vector(ferry: Ferry) -> None:
    with pytest.raises(ProjectError, match="slice 'harbour' is not a text column that the model reads"):
        replace(model_of(ferry), slices=("harbour",))
