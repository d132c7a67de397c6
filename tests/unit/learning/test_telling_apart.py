"""Rows are told apart by what was asked: numbers, texts and what is missing; and ordinary ones are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tidemill.events import Column
from tidemill.learning import TrainingSet, domain_table, told_apart

N = 3_000


def rows(**columns: Column) -> TrainingSet:
    at_ms = np.arange(N, dtype=np.int64)
    return TrainingSet(columns, (at_ms % 2).astype(np.float64), at_ms, [str(row) for row in range(N)], 0, {}, N, 0)


def later() -> np.ndarray:
    return np.arange(N) >= N - 800


def test_rows_of_one_kind_are_not_told_apart_however_few_they_are() -> None:
    rng = np.random.default_rng(4)
    past = rows(x=rng.normal(size=N), kind=rng.choice(np.array(["a", "b", None], dtype=object), N))
    assert told_apart(past, later()) == pytest.approx(0.5, abs=0.05)
    assert told_apart(past, np.zeros(N, dtype=bool)) == 0.5


@pytest.mark.parametrize("column", ["number", "text", "missing"])
def test_one_column_is_enough(column: str) -> None:
    rng, new = np.random.default_rng(4), later()
    values: dict[str, Column] = {
        "number": rng.normal(size=N) + 6.0 * new,
        "text": np.where(new, "barracks", "homes").astype(object),
        "missing": np.where(new, np.nan, rng.normal(size=N)),
    }
    past = rows(noise=rng.normal(size=N), told=values[column])
    assert told_apart(past, new) > 0.99


def test_a_column_that_is_missing_everywhere_is_one_value() -> None:
    empty = rows(x=np.full(N, np.nan), y=np.where(later(), 1.0, 0.0))
    assert told_apart(empty, later()) == 1.0
    table = domain_table(pd.DataFrame({"x": [np.nan, np.inf], "y": [3.0, np.nan], "z": ["b", None]}))
    assert table.tolist() == [[-1.0, 3.0, 1.0], [-1.0, 0.0, 0.0]]
