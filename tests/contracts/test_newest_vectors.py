"""The newest vectors: as many as asked for, newest first, and only those that today's definitions made."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tidemill.stores import Answered, Databases, PredictionStore
from tidemill.stores import newest_vectors as module
from tidemill.stores.newest_vectors import NewestVectors


@pytest.fixture
def store(databases: Databases) -> Iterator[PredictionStore]:
    made = PredictionStore(databases)
    yield made
    made.close()


@pytest.fixture
def vectors(store: PredictionStore, databases: Databases) -> Iterator[NewestVectors]:
    made = NewestVectors(databases)
    yield made
    made.close()


def answer(store: PredictionStore, at_ms: int, rows: list[list[float]], model: str = "m", digest: str = "d") -> None:
    n_rows = len(rows)
    scores = {"champion": (1, np.full(n_rows, 0.5))}
    keys, requests = [f"k{row}" for row in range(n_rows)], ["{}"] * n_rows
    store.write(Answered(model, at_ms, 0, "{}", digest, keys, requests, np.array(rows), scores))  # type: ignore[arg-type]  # one of the roles


def test_they_come_newest_first_whatever_order_they_were_logged_in(store: PredictionStore, vectors: NewestVectors) -> None:
    answer(store, 20, [[2.0, np.nan], [3.0, 3.5]])
    answer(store, 10, [[1.0, 1.5]])
    answer(store, 30, [[4.0, 4.5]])
    found = vectors.read("m", "d", 2)
    assert found.at_ms.tolist() == [30, 20, 20, 10]
    assert found.numbers[:, 0].tolist() == [4.0, 3.0, 2.0, 1.0]
    assert np.isnan(found.numbers[:, 1]).tolist() == [False, False, True, False]


def test_no_more_rows_are_read_than_allowed(store: PredictionStore, vectors: NewestVectors) -> None:
    for at_ms in range(10):
        answer(store, at_ms, [[float(at_ms)]])
    assert vectors.read("m", "d", 1, limit=3).numbers[:, 0].tolist() == [9.0, 8.0, 7.0]
    answer(store, 10, [[0.0]], digest="another definition")
    assert vectors.read("m", "d", 1, limit=3).numbers[:, 0].tolist() == [9.0, 8.0], "older rows are not searched for"


def test_other_models_definitions_and_columns_are_left_out(store: PredictionStore, vectors: NewestVectors) -> None:
    answer(store, 1, [[1.0, 1.0]])
    answer(store, 2, [[2.0, 2.0]], model="other")
    answer(store, 3, [[3.0, 3.0]], digest="of before")
    answer(store, 4, [[4.0]])
    found = vectors.read("m", "d", 2)
    assert found.numbers.tolist() == [[1.0, 1.0]]
    assert vectors.read("m", "d", 3).numbers.shape == (0, 3)
    assert vectors.read("nobody", "d", 2).at_ms.tolist() == []


def test_sqlite_reads_the_index_by_time_from_its_end(tmp_path: Path) -> None:
    PredictionStore(Databases(tmp_path)).close()
    with sqlite3.connect(Databases(tmp_path).path("serving")) as connection:
        plan = [row[3] for row in connection.execute(f"explain query plan {module._NEWEST}", ("m", 10, "d", 16))]
    connection.close()
    assert any("prediction_by_time (model=?)" in step for step in plan), plan
    sorts = [step for step in plan if "TEMP B-TREE" in step]
    assert sorts == [] or plan.index(sorts[0]) > next(place for place, step in enumerate(plan) if "SCAN" in step), plan
