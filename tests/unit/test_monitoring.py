"""The Evidently check: its values are ours, nasty columns never end it, and one odd week is no alarm."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evidently.ui.workspace import Workspace

from monitoring.checks import CheckResult, Sides, run_check, summary_json
from monitoring.evidently_home import FOLDER, keep_in_workspace, project_id
from monitoring.pages import LEAST_ROWS, Page, quality_page, summary_page
from monitoring.policy import describe, judge
from tests import tiny
from tidemill import col
from tidemill.clock import DAY_MS
from tidemill.drift import ReferenceProfile, profile_reference
from tidemill.drift.statistics import jensen_shannon, wasserstein_normed
from tidemill.learning import Model
from tidemill.stores import Judged

N = 6_000


def table(seed: int, n: int = N, shift: float = 0.0) -> pd.DataFrame:
    """Plain columns, and others that Evidently ends a report on."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.normal(shift, 1, n),
            "gaps": np.where(rng.random(n) < 0.3, np.nan, rng.exponential(1 + shift, n)),
            "kind": rng.choice(np.array(["a", "b", "c", None], dtype=object), n, p=[0.5 - shift / 5, 0.3, 0.1 + shift / 5, 0.1]),
            "constant": np.ones(n),
            "flag": rng.random(n) < 0.4,
            "nullable": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "objects": pd.Series(rng.normal(size=n)).astype(object),
            "infinite": np.where(rng.random(n) < 0.01, np.inf, rng.normal(size=n)),
            "one kind": np.full(n, "only", dtype=object),
        }
    )


@cache
def profile() -> ReferenceProfile:
    frame = table(0)
    columns = {name: frame[name].to_numpy() for name in frame if name not in ("nullable", "objects")}
    columns |= {name: frame[name].to_numpy(dtype=float) for name in ("nullable", "objects")}
    return profile_reference(columns, np.linspace(0, 1, N), np.linspace(0, 70 * DAY_MS, N).astype(np.int64))


@cache
def ordinary() -> CheckResult:
    return run_check(table(0).iloc[:3_000], table(1, 2_000), profile())


@cache
def shifted() -> CheckResult:
    return run_check(table(0).iloc[:3_000], table(2, 2_000, shift=1.0), profile())


def test_an_ordinary_week_fails_nothing_and_judges_everything() -> None:
    assert ordinary().failed_columns == ()
    assert ordinary().unjudged == {}
    assert set(ordinary().values) == set(table(0)) == set(ordinary().thresholds)


def test_shifted_columns_fail_and_no_others() -> None:
    assert shifted().failed_columns == ("gaps", "kind", "x")
    assert shifted().share == pytest.approx(3 / 9)


def test_evidentlys_values_are_ours_on_the_same_rows() -> None:
    reference, current = table(0).iloc[:3_000], table(2, 2_000, shift=1.0)  # fewer than 5,000: nothing is sampled
    for name in ("x", "gaps", "constant", "flag"):
        a, b = (frame[name].dropna().to_numpy(dtype=float) for frame in (reference, current))
        assert shifted().values[name] == pytest.approx(wasserstein_normed(a, b), rel=1e-9)
    a, b = (frame["kind"].dropna().value_counts().to_dict() for frame in (reference, current))
    assert shifted().values["kind"] == pytest.approx(jensen_shannon(a, b), rel=1e-9)


def test_the_thresholds_are_those_of_the_profile() -> None:
    for column in profile().columns:
        assert column.check is not None
        assert ordinary().thresholds[column.name] == column.check.threshold


def test_the_page_and_the_snapshot_are_whole() -> None:
    assert "<html" in ordinary().html.lower()
    assert len(ordinary().html) > 100_000
    snapshot = ordinary().snapshot
    assert snapshot is not None and len(snapshot.dict()["metrics"]) == len(ordinary().values)
    assert json.loads(summary_json(shifted()))["failed_columns"] == ["gaps", "kind", "x"]


def test_a_column_that_cannot_be_judged_is_named_with_the_reason() -> None:
    current = table(1, 500).drop(columns="flag").assign(gaps=np.nan, kind=None, x="text")
    result = run_check(table(0).iloc[:1_000], current, profile(), ["x", "gaps", "kind", "flag", "constant"])
    assert set(result.unjudged) == {"x", "gaps", "kind", "flag"}
    assert "not numbers" in result.unjudged["x"]
    assert "missing" in result.unjudged["gaps"]
    assert "no such column" in result.unjudged["flag"]
    assert set(result.values) == {"constant"}


def test_no_current_rows_or_no_calibration_is_said_and_does_not_end_it() -> None:
    empty = run_check(table(0).iloc[:1_000], table(0).iloc[:0], profile())
    assert set(empty.unjudged) == set(table(0))
    assert "No column could be judged" in empty.html
    assert empty.snapshot is None and summary_page(empty.sides) is None
    short = profile_reference({"x": np.arange(300.0)}, np.zeros(300), np.arange(300))
    assert "too few whole weeks" in run_check(table(0), table(1), short).unjudged["x"]


def said(model: Model, n: int, *, outcome: float | None = None) -> Judged:
    """`n` answers of a model of three classes, of yes or no, or of a number, and what came of them."""
    rng = np.random.default_rng(3)
    kind = model.objective.kind
    probabilities = rng.dirichlet([1.0, 1.0, 1.0], n)
    came = {"probabilities": rng.integers(0, 3, n), "probability": rng.integers(0, 2, n), "value": rng.normal(size=n)}[kind]
    answers = {"probabilities": probabilities, "probability": probabilities[:, 0], "value": rng.normal(size=n)}[kind]
    outcomes = came.astype(np.float64) if outcome is None else np.full(n, outcome)
    classes = ("a", "b", "c") if kind == "probabilities" else ()
    return Judged(np.array(["champion"] * n), np.ones(n, dtype=np.int64), np.arange(n), answers, outcomes, classes)


MODELS = {
    "binary": tiny.LATE_ORDER,
    "multiclass": replace(tiny.LATE_ORDER, label=replace(tiny.LATE_ORDER.label, value="shop")),
    "regression": replace(tiny.LATE_ORDER, label=replace(tiny.LATE_ORDER.label, value=col("delay_min")), task="regression"),
}


@pytest.mark.parametrize("task", MODELS)
def test_how_well_a_version_has_answered_is_a_page_of_its_own(task: str) -> None:
    page = quality_page(MODELS[task], said(MODELS[task], 300))
    assert page is not None and len(page.html) > 100_000
    named = {metric["config"]["type"].rsplit(":", 1)[-1] for metric in page.snapshot.dict()["metrics"]}
    assert ("MAE" if task == "regression" else "Accuracy") in named
    assert quality_page(MODELS[task], said(MODELS[task], LEAST_ROWS - 1)) is None


def test_the_workspace_holds_the_pages_of_the_newest_checks(tmp_path: Path) -> None:
    summary = summary_page(ordinary().sides)
    assert summary is not None and summary.name == "summary"
    drift = Page("drift", ordinary().html, ordinary().snapshot)
    for number in range(3):
        keep_in_workspace(tmp_path, "shop.late", f"schedule {number}", [drift, summary], kept=1)
    held = Workspace(str(tmp_path / FOLDER))
    assert [project.name for project in held.list_projects()] == ["shop.late"]
    runs = [held.get_run(project_id("shop.late"), run) for run in held.list_runs(project_id("shop.late"))]
    names = {run.name for run in runs if run is not None}
    assert names == {"schedule 1: summary", "schedule 2: drift", "schedule 2: summary"}, "three pages, as one check has"


def test_a_column_outside_the_profile_is_refused() -> None:
    with pytest.raises(KeyError, match="no column 'y'"):
        run_check(table(0), table(1), profile(), ["y"])


def result(failed: tuple[str, ...], unjudged: tuple[str, ...] = ()) -> CheckResult:
    judged = [name for name in "abcde" if name not in unjudged]
    values = {name: 0.5 if name in failed else 0.0 for name in judged}
    limits, share, gone = dict.fromkeys(judged, 0.1), len(failed) / len(judged), dict.fromkeys(unjudged, "gone")
    return CheckResult(failed, values, limits, share, gone, "", None, Sides((), (pd.DataFrame(), pd.DataFrame())))


def test_an_alarm_needs_the_same_columns_to_fail_twice() -> None:
    first = judge(result(("a", "b")), frozenset())
    assert not first.alarm
    assert not judge(result(("c", "d")), first.remember).alarm
    second = judge(result(("a", "b", "c")), first.remember)
    assert second.alarm
    assert second.columns == ("a", "b")
    assert second.share == pytest.approx(0.4)
    assert "a 0.5 (limit 0.1)" in second.reason


@pytest.mark.parametrize(("share", "alarm"), [(0.2, True), (0.21, False)])
def test_the_share_decides(share: float, alarm: bool) -> None:
    assert judge(result(("a",)), frozenset("a"), alarm_share=share).alarm is alarm


def test_a_gap_neither_clears_nor_makes_an_alarm() -> None:
    gap = judge(result((), unjudged=("a", "b")), frozenset("ab"))
    assert not gap.alarm
    assert judge(result(("a", "b")), gap.remember).alarm


def test_one_check_by_itself_names_what_failed_the_worst_first() -> None:
    assert describe(result(())) == "0 of 5 columns failed"
    uneven = replace(result(("a", "b")), values={"a": 0.2, "b": 0.5, "c": 0.0})
    assert describe(uneven) == "2 of 3 columns failed: b 0.5 (limit 0.1), a 0.2 (limit 0.1)"


@pytest.mark.parametrize("share", [0.0, 1.1])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(ValueError, match="alarm_share"):
        judge(result(()), frozenset(), alarm_share=share)
