"""The checks: what is broken is named by column, with values, and ordinary rows are left alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import Checks, ReferenceProfile, Sampling, data_faults, profile_reference

PER_WEEK = 1_400
ROW_MS = 7 * DAY_MS // PER_WEEK
Columns = dict[str, npt.NDArray[Any]]


def rows(seed: int, n: int) -> Columns:
    rng = np.random.default_rng(seed)
    return {
        "x": np.where(rng.random(n) < 0.02, np.nan, rng.normal(size=n)),
        "flag": rng.random(n) < 0.9,
        "kind": rng.choice(np.array(["a", "b", None], dtype=object), n, p=[0.7, 0.28, 0.02]),
    }


def times(n: int, first_ms: int = 0) -> npt.NDArray[np.int64]:
    return first_ms + np.arange(n) * ROW_MS


@cache
def profile(share: float = 1.0) -> ReferenceProfile:
    n = 10 * PER_WEEK
    return profile_reference(rows(0, n), np.zeros(n), times(n), Sampling(share=share))


def test_ordinary_weeks_are_left_alone() -> None:
    n = 8 * PER_WEEK
    checks = Checks(profile())
    assert checks.update(rows(1, n), times(n)) == []
    assert checks.faults == []


@pytest.mark.parametrize(
    ("column", "value", "said", "fault"),
    [
        ("x", 0.25, "has been 0.25 in", "stuck"),
        ("x", np.nan, "is missing in", "all missing"),
        ("kind", "b", "has been b in", "stuck"),
        ("x", 1e6, "has been 1e", "stuck"),
        ("x", np.inf, "has been inf in", "stuck"),
    ],
)
def test_a_column_that_stands_still_is_a_fault_until_it_moves(column: str, value: object, said: str, fault: str) -> None:
    checks = Checks(profile())
    broken, mended = rows(1, 150), rows(2, 10)
    broken[column][20:] = value
    broken[column][19] = None if column == "kind" else -1.0
    warnings = checks.update(broken, times(150))
    assert [warning.column for warning in warnings] == [column]
    assert said in warnings[0].detail
    assert warnings[0].since_ms == 20 * ROW_MS
    assert checks.faults == [{"column": column, "what": fault, "since_ms": 20 * ROW_MS}]
    assert data_faults({"faults": checks.faults}) == [f"column {column} is {fault} since 1970-01-01T02:24+00:00"]
    checks.update(mended, times(10, 150 * ROW_MS))
    assert checks.faults == []


def test_what_often_stood_still_in_training_may_do_so_again() -> None:
    live = rows(1, 100)
    live["flag"][:] = True
    assert Checks(profile()).update(live, times(100)) == []  # nine in ten are true: long runs are nothing new


def test_rows_that_were_not_learnt_from_lengthen_runs() -> None:
    live = rows(1, 100)
    live["kind"][:] = "a"
    assert [warning.column for warning in Checks(profile()).update(live, times(100))] == ["kind"]
    assert Checks(profile(0.1)).update(live, times(100)) == []


def test_values_far_out_of_range_and_unknown_categories_are_counted_and_shown() -> None:
    live = rows(1, 200)
    live["x"][::20] = 1e6
    live["kind"][::20] = "spam"
    found = {warning.column: warning.detail for warning in Checks(profile()).update(live, times(200))}
    assert "10 of 200 values lie far outside of the reference's" in found["x"]
    assert "(1e+06)" in found["x"]
    assert found["kind"] == "10 of 200 values are in categories the reference has not (spam), at most 3 are usual"


def test_a_few_odd_values_are_no_warning() -> None:
    live = rows(1, 200)
    live["x"][:3], live["kind"][:3] = 1e6, "spam"
    assert Checks(profile()).update(live, times(200)) == []


def test_many_missing_values_warn() -> None:
    live = rows(1, 200)
    live["x"][::2] = np.nan
    (warning,) = Checks(profile()).update(live, times(200))
    assert "are missing, at most" in warning.detail


def test_rows_that_stay_away_or_double_are_seen_when_the_next_come() -> None:
    week = 7 * DAY_MS
    checks = Checks(profile())
    assert checks.update(rows(1, 2 * PER_WEEK), times(2 * PER_WEEK)) == []
    after_gap = checks.update(rows(2, 200), times(200, 2 * week + DAY_MS))
    assert [(warning.column, warning.since_ms) for warning in after_gap] == [("(rows)", 2 * week)]
    assert "0 rows in 6h, about 50 are usual" in after_gap[0].detail
    many = 1_000
    busy = 2 * week + 2 * DAY_MS + np.arange(many) * (DAY_MS // many)
    assert [warning.column for warning in checks.update(rows(3, many), busy)] == ["(rows)"]


def test_the_number_of_rows_is_beside_the_first_live_week_not_the_labelled_rows() -> None:
    n = 4 * PER_WEEK
    assert Checks(profile()).update(rows(1, n), np.arange(n) * ROW_MS * 3) == []


def test_a_short_reference_checks_what_it_can() -> None:
    short = profile_reference(rows(0, 1_000), np.zeros(1_000), np.arange(1_000) * HOUR_MS)
    assert short.volume is not None
    tiny = profile_reference(rows(0, 300), np.zeros(300), np.arange(300))
    assert Checks(tiny).update(rows(1, 300), np.arange(300)) == []
