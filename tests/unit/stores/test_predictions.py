"""Predictions come back as they were logged: by id, by time, by key, as a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tidemill.stores import Answered, PredictionStore, Score


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PredictionStore]:
    opened = PredictionStore(tmp_path / "serving.db")
    yield opened
    opened.close()


def answered(keys: Sequence[str], at_ms: int, model: str = "m", version: int = 2) -> Answered:
    """A batch that the champion answered beside the frozen first version."""
    numbers = np.arange(2.0 * len(keys)).reshape(-1, 2) + at_ms
    numbers[:, 1] = np.nan
    return Answered(
        model=model,
        at_ms=at_ms,
        made_wall_ms=at_ms + 1,
        position="{}",
        digest="d",
        keys=keys,
        requests=[f'{{"key": "{key}"}}' for key in keys],
        numbers=numbers,
        scores={"champion": (version, np.linspace(0.1, 0.9, len(keys))), "frozen": (1, np.full(len(keys), 0.5))},
    )


def test_what_was_logged_comes_back(store: PredictionStore) -> None:
    assert store.write(answered(["a", "b"], 10)) == [1, 2]
    assert store.write(answered(["a"], 20, version=3)) == [3]
    served = store.served("m")
    assert (served.ids.tolist(), served.versions.tolist(), served.at_ms.tolist()) == ([1, 2, 3], [2, 2, 3], [10, 10, 20])
    assert (served.keys, served.requests) == (["a", "b", "a"], ['{"key": "a"}', '{"key": "b"}', '{"key": "a"}'])
    np.testing.assert_array_equal(served.numbers, [[10, np.nan], [12, np.nan], [20, np.nan]])
    assert (served.positions, served.digests) == (["{}"] * 3, ["d"] * 3)
    some = served.rows(np.array([2, 0]))
    assert (some.ids.tolist(), some.keys, some.numbers[:, 0].tolist()) == ([3, 1], ["a", "a"], [20, 10])


def test_predictions_are_asked_for_by_id_time_and_number(store: PredictionStore) -> None:
    for at_ms in range(10):
        store.write(answered(["k"], at_ms))
        store.write(answered(["k"], at_ms, model="other"))
    assert store.served("m", from_ms=3, before_ms=5).at_ms.tolist() == [3, 4, 5]
    assert store.served("m", after_id=15, limit=1).ids.tolist() == [17]
    assert store.served("none").numbers.shape == (0, 0)
    assert (store.count("m"), store.count("none")) == (10, 0)


def test_a_sample_is_spread_evenly_and_has_no_prediction_twice(store: PredictionStore) -> None:
    for at_ms in range(300):
        store.write(answered(["k", "l"], at_ms))
    for seed in (0, 7, 10**12):
        ids = store.sample("m", 100, seed).ids
        assert len(set(ids.tolist())) == 100
        gaps = np.diff(np.sort(ids))
        assert gaps.min() >= 6
        assert gaps.max() <= 6
    assert store.sample("m", 1_000, 3).ids.tolist() == list(range(1, 601))
    assert len(store.sample("none", 10, 0).ids) == 0


def test_the_scores_of_many_keys_come_oldest_first(store: PredictionStore) -> None:
    keys = [f"k{place}" for place in range(1_200)]
    store.write(answered(keys, 5))
    store.write(answered(["k0"], 6, version=3))
    scores = store.scores("m", [*keys, "k0", "nobody"])
    assert len(scores) == 2 * 1_201
    assert [score.prediction_id for score in scores] == sorted(score.prediction_id for score in scores)
    assert scores[-2:] == [Score(1_201, "k0", 6, "champion", 3, 0.1), Score(1_201, "k0", 6, "frozen", 1, 0.5)]
    assert store.scores("m", []) == []


def test_a_batch_is_logged_whole_or_not_at_all(store: PredictionStore) -> None:
    torn = answered(["a", "b"], 10)
    torn.scores["champion"][1][1] = np.nan  # a probability must be there
    with pytest.raises(Exception, match="NOT NULL"):
        store.write(torn)
    assert store.count("m") == 0
    assert store.write(answered(["a"], 11)) == [1]


def test_servers_say_what_they_serve(store: PredictionStore) -> None:
    store.confirm("s1", "m", 1, 100)
    store.confirm("s2", "m", 1, 50)
    store.confirm("s1", "m", 2, 200)
    assert store.servers("m", 50) == {"s1": 2, "s2": 1}
    assert store.servers("m", 51) == {"s1": 2}
    assert store.servers("other", 0) == {}
