"""The multivariate check: told apart by what no column shows alone, and not where weeks are ordinary."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitoring.domain import DomainCheck, ordinary_auc, tell_apart
from tidemill.clock import DAY_MS
from tidemill.drift import ReferenceProfile, profile_reference
from tidemill.learning import Budget

N, WEEKS = 1_200, 5
EVERY = Budget.parse("1/30d"), 7 * DAY_MS


def rows(seed: int, n: int, correlation: float = 0.0) -> pd.DataFrame:
    """Columns whose own distributions are always the same, and two of which may move together."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n))
    kinds = rng.choice(np.array(["a", "b", None], dtype=object), n)
    gaps = np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))
    return pd.DataFrame({"x": x, "y": correlation * x + np.sqrt(1 - correlation**2) * y, "kind": kinds, "gaps": gaps})


def times(weeks: int = WEEKS) -> npt.NDArray[np.int64]:
    return np.linspace(0, weeks * 7 * DAY_MS, N).astype(np.int64)


@cache
def profile(weeks: int = WEEKS) -> ReferenceProfile:
    sample = rows(0, N)
    return profile_reference({name: sample[name].to_numpy() for name in sample}, np.linspace(0, 1, N), times(weeks))


def look(current: pd.DataFrame, weeks: int = WEEKS) -> DomainCheck | None:
    threshold = ordinary_auc(profile(weeks), rows(0, N), times(weeks), EVERY)
    return tell_apart(profile(weeks), rows(0, N), current, threshold)


def test_more_of_the_same_is_not_told_apart() -> None:
    found = look(rows(1, 400))
    assert found is not None
    assert found.threshold is not None
    assert 0.4 < found.auc < 0.6 < found.threshold + 0.1
    assert not found.told_apart


def test_columns_that_begin_to_move_together_are_told_apart_though_neither_has_changed() -> None:
    found = look(rows(2, 400, correlation=0.95))
    assert found is not None
    assert found.told_apart
    assert found.auc > 0.7
    assert found.state()["told_apart"] is True


def test_the_column_that_told_most_is_named_even_where_it_has_gone_missing() -> None:
    current = rows(3, 400)
    current["gaps"] = np.nan
    found = look(current)
    assert found is not None
    assert found.told_apart
    assert found.columns[0] == "gaps"


def test_without_enough_cycles_nothing_is_judged_and_without_enough_rows_nothing_is_said() -> None:
    found = look(rows(1, 400), weeks=1)
    assert found is not None
    assert (found.threshold, found.told_apart) == (None, False)
    assert look(rows(1, 50)) is None


def test_a_whole_cycle_is_not_told_apart_by_its_hours() -> None:
    """Rows of a week follow the hour and the day; those of its end alone would be told from whole weeks by that."""

    def weekly(seed: int, at_ms: npt.NDArray[np.int64]) -> pd.DataFrame:
        return pd.DataFrame({"x": np.random.default_rng(seed).normal(4.0 * np.sin(2.0 * np.pi * at_ms / (7 * DAY_MS)), 0.3)})

    learnt_ms, asked_ms = times(), np.linspace(WEEKS * 7 * DAY_MS, (WEEKS + 1) * 7 * DAY_MS, 5_000).astype(np.int64)
    sample = weekly(0, learnt_ms)
    learnt = profile_reference({"x": sample["x"].to_numpy()}, np.linspace(0, 1, N), learnt_ms)
    threshold = ordinary_auc(learnt, sample, learnt_ms, EVERY)
    week = weekly(1, asked_ms)
    whole, end = (tell_apart(learnt, sample, rows, threshold) for rows in (week.iloc[::5], week.tail(1_000)))
    assert whole is not None and not whole.told_apart
    assert end is not None and end.told_apart
