"""The index of predictions by key follows a file, holds what it holds, and is made anew where it is of another."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.stores import Answered, Databases, PredictionStore
from tidemill.stores import prediction_keys as module
from tidemill.stores.prediction_ids import distrust_ids
from tidemill.stores.prediction_keys import NAME, PredictionKeys
from tidemill.stores.prediction_tables import PREDICTION_TABLES
from tidemill.stores.schema_version import schema_version


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PredictionStore]:
    opened = PredictionStore(Databases(tmp_path))
    yield opened
    opened.close()


def answered(keys: list[str], model: str = "m", made_wall_ms: int = 7) -> Answered:
    n = len(keys)
    return Answered(model, 1_000, made_wall_ms, "{}", "d", keys, ["{}"] * n, np.zeros((n, 2)), {"champion": (1, np.zeros(n))})


def indexed(home: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(home / f"{NAME}.db")) as connection:
        return connection.execute("select key, prediction_id from prediction_key order by prediction_id").fetchall()


def ids(store: PredictionStore, keys: list[str], model: str = "m") -> list[int]:
    return [score.prediction_id for score in store.scores(model, keys)]


@given(
    lots=st.lists(st.lists(st.sampled_from("abcde"), max_size=6), max_size=6),
    looked=st.lists(st.sampled_from("abcdef"), max_size=4),
    seen=st.integers(0, 6),
    read_through=st.sampled_from([0, 3, 20_000]),
    at_once=st.sampled_from([2, 100_000]),
)
@settings(max_examples=40, deadline=None)
def test_what_is_found_is_what_a_look_at_every_row_finds(
    tmp_path_factory: pytest.TempPathFactory, lots: list[list[str]], looked: list[str], seen: int, read_through: int, at_once: int
) -> None:
    home = tmp_path_factory.mktemp("keys")
    store = PredictionStore(Databases(home))
    every: list[tuple[str, str]] = []
    with patch.object(module, "_READ_THROUGH", read_through), patch.object(module, "_AT_ONCE", at_once):
        for number, lot in enumerate(lots):
            store.write(answered(lot, "mn"[number % 2]))
            every += [(key, "mn"[number % 2]) for key in lot]
            if number == seen:
                store.keys.catch_up()
        for model in "mn":
            assert ids(store, looked, model) == [place for place, (key, of) in enumerate(every, 1) if key in looked and of == model]
    held = indexed(home)
    assert held == [(key, place) for place, (key, _) in enumerate(every, 1)][: len(held)]
    assert len(every) - len(held) <= read_through
    store.close()


def test_what_is_logged_behind_the_index_is_found_before_it_follows(store: PredictionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write(answered(["a", "b"]))
    assert ids(store, ["a"]) == [1]
    monkeypatch.setattr(PredictionKeys, "catch_up", lambda self: None)  # another logs between the catching up and the look
    store.write(answered(["b", "a"]))
    assert ids(store, ["a"]) == [1, 4]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks for keys brings the index to the end, some at a time, and what follows does not wait for many."""
    monkeypatch.setattr(module, "_READ_THROUGH", 0)
    monkeypatch.setattr(module, "_AT_ONCE", 100)
    monkeypatch.setattr(module, "_FOLLOWED", 100)


def test_it_follows_in_many_transactions(store: PredictionStore, tmp_path: Path, eager: None) -> None:
    store.write(answered([f"k{number % 100}" for number in range(350)]))
    assert ids(store, ["k3"]) == [4, 104, 204, 304]
    assert len(indexed(tmp_path)) == 350


def test_it_follows_over_ids_that_nobody_was_given(store: PredictionStore, tmp_path: Path, eager: None) -> None:
    store.write(answered(["a", "b"]))
    distrust_ids(tmp_path / "serving.db")
    store.write(answered(["a"]))
    first, far = ids(store, ["a"])
    assert far - first > 1_000_000, "a hundred at a time that would take hours"
    assert ("a", far) in indexed(tmp_path)


def test_several_that_follow_at_once_take_each_in_once(store: PredictionStore, tmp_path: Path, eager: None) -> None:
    store.write(answered([f"k{number}" for number in range(5_000)]))
    threads = [threading.Thread(target=PredictionKeys(Databases(tmp_path)).catch_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert indexed(tmp_path) == [(f"k{number}", number + 1) for number in range(5_000)]


def test_it_follows_by_itself_once_many_wait(store: PredictionStore, tmp_path: Path, eager: None) -> None:
    with store.keys.going():
        store.write(answered(["a"] * 150))
        deadline = time.monotonic() + 30
        while len(indexed(tmp_path)) < 100 and time.monotonic() < deadline:
            time.sleep(0.05)
        store.write(answered(["b"] * 30))
    assert len(indexed(tmp_path)) == 100, "80 do not make it follow"
    assert len(ids(store, ["a", "b"])) == 180


def test_nothing_that_answers_waits_for_it(store: PredictionStore, tmp_path: Path) -> None:
    store.write(answered(["a"]))
    with closing(sqlite3.connect(tmp_path / f"{NAME}.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        assert store.write_at_once([answered(["b"])]) == [[2]]
        other.execute("rollback")


@pytest.mark.parametrize("fewer", [True, False])
def test_an_index_of_another_file_is_made_anew(tmp_path: Path, fewer: bool, eager: None) -> None:
    for name, keys in (("one", ["a", "b", "c"]), ("other", ["x"] if fewer else ["x", "y", "z", "a"])):
        store = PredictionStore(Databases(tmp_path / name))
        store.write(answered(keys, made_wall_ms=len(keys)))
        store.keys.catch_up()
        store.close()
    for path in (tmp_path / "one").glob("serving.db*"):
        path.unlink()
    shutil.copy(tmp_path / "other" / "serving.db", tmp_path / "one" / "serving.db")
    again = PredictionStore(Databases(tmp_path / "one"))
    assert ids(again, ["a", "b", "x"]) == ([1] if fewer else [1, 4])
    again.close()


def test_a_file_of_before_loses_the_index_it_had(tmp_path: Path) -> None:
    store = PredictionStore(Databases(tmp_path))
    store.write(answered(["a", "b"]))
    store.close()
    with closing(sqlite3.connect(tmp_path / "serving.db")) as connection:
        connection.execute("create index prediction_by_key on prediction (model, key)")
        connection.execute("pragma user_version = 1")
        connection.commit()
    again = PredictionStore(Databases(tmp_path))
    assert ids(again, ["b"]) == [2]
    again.close()
    with closing(sqlite3.connect(tmp_path / "serving.db")) as connection:
        assert connection.execute("select count(*) from sqlite_master where name = 'prediction_by_key'").fetchone() == (0,)
        assert connection.execute("pragma user_version").fetchone() == (schema_version(PREDICTION_TABLES),)
