"""Predictions: what is logged comes back, and samples and scores are fair."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tidemill.stores import Answer, Answered, Asked, Databases, PredictionStore, Role, Said


@pytest.fixture
def store(databases: Databases) -> Iterator[PredictionStore]:
    opened = PredictionStore(databases)
    yield opened
    opened.close()


def answered(keys: Sequence[str], at_ms: int = 1_000, model: str = "m", versions: dict[Role, int] | None = None) -> Answered:
    """A batch whose probabilities and vectors tell its rows apart."""
    scores: dict[Role, tuple[int, np.ndarray[tuple[int], np.dtype[np.float64]]]] = {
        role: (version, np.arange(len(keys)) / 100 + version) for role, version in (versions or {"champion": 1}).items()
    }
    return Answered(
        model=model,
        at_ms=at_ms,
        made_wall_ms=at_ms + 7,
        position='{"taps":{"0":3}}',
        digest="d",
        keys=keys,
        requests=[f'{{"key":"{key}"}}' for key in keys],
        numbers=np.array([[at_ms, place, np.nan] for place in range(len(keys))], dtype=np.float64).reshape(len(keys), 3),
        scores=scores,
    )


def test_a_batch_comes_back_with_its_vectors(store: PredictionStore) -> None:
    assert store.served("m").keys == []
    assert store.served("m").numbers.shape[0] == 0
    assert store.write(answered(["a", "b"], versions={"champion": 4, "frozen": 1})) == [1, 2]
    served = store.served("m")
    assert (served.ids.tolist(), served.versions.tolist(), served.keys, served.at_ms.tolist()) == (
        [1, 2],
        [4, 4],
        ["a", "b"],
        [1_000, 1_000],
    )
    assert (served.positions, served.digests, served.requests) == (['{"taps":{"0":3}}'] * 2, ["d"] * 2, ['{"key":"a"}', '{"key":"b"}'])
    np.testing.assert_array_equal(served.numbers, [[1_000, 0, np.nan], [1_000, 1, np.nan]])
    assert served.scores.tolist() == [4.0, 4.01]


def test_writing_at_once_waits_for_no_other_writer_and_then_logs_nothing(store: PredictionStore, databases: Databases) -> None:
    store.write(answered(["z"]))
    batches = [answered(["a"]), answered(["b", "c"], model="n")]
    if store.is_file:
        with sqlite3.connect(databases.path("serving"), isolation_level=None) as other:
            other.execute("begin immediate")
            assert store.write_at_once(batches) is None
            other.execute("rollback")
        assert store.write_at_once(batches) == [[2], [3, 4]]
        assert store.write(answered(["d"])) == [5]
    else:
        assert store.write_at_once(batches) is None, "a server has to be waited for"
    assert store.count("n") == (2 if store.is_file else 0)


def test_ids_rise_over_batches_and_models(store: PredictionStore, databases: Databases) -> None:
    other = PredictionStore(databases)
    ids = [store.write(answered(["a"])), other.write(answered(["b", "c"], model="n")), store.write(answered(["d"]))]
    assert ids == [[1], [2, 3], [4]]
    assert (store.count("m"), store.count("n"), store.count("none")) == (2, 2, 0)
    other.close()


def test_served_is_bounded_by_id_and_time_and_number(store: PredictionStore) -> None:
    for at_ms in (10, 20, 30, 40):
        store.write(answered(["a", "b"], at_ms=at_ms))
    assert store.served("m", after_id=3).ids.tolist() == [4, 5, 6, 7, 8]
    assert store.served("m", before_ms=20).ids.tolist() == [1, 2, 3, 4]
    assert store.served("m", from_ms=20, before_ms=30).ids.tolist() == [3, 4, 5, 6]
    assert store.served("m", after_id=1, limit=2).ids.tolist() == [2, 3]


@pytest.mark.parametrize(("total", "size"), [(0, 5), (1, 1), (5, 5), (5, 9), (199, 100), (101, 100), (1_000, 7)])
def test_a_sample_is_spread_over_all(store: PredictionStore, total: int, size: int) -> None:
    store.write(answered([f"k{place}" for place in range(total)]))
    for seed in (0, 1, 12_345):
        ids = store.sample("m", size, seed).ids.tolist()
        assert len(ids) == len(set(ids)) == min(size, total)
        assert ids == sorted(ids)
        gaps = np.diff([0, *ids, total + 1])
        assert not ids or gaps.max() <= total / len(ids) + 2
    if total > size:
        assert store.sample("m", size, 1).ids.tolist() == store.sample("m", size, 1).ids.tolist()
        assert store.sample("m", size, 0).ids.tolist() != store.sample("m", size, total - 1).ids.tolist()


def test_a_sample_can_begin_at_a_time(store: PredictionStore) -> None:
    for at_ms in (10, 20, 30):
        store.write(answered(["a", "b", "c"], at_ms=at_ms))
    assert store.sample("m", 100, 0, from_ms=20).at_ms.tolist() == [20] * 3 + [30] * 3
    assert store.sample("m", 2, 0, from_ms=30).at_ms.tolist() == [30, 30]
    assert not len(store.sample("m", 5, 0, from_ms=31).ids)


def test_a_sample_can_be_of_a_span_and_of_one_version(store: PredictionStore) -> None:
    for at_ms, version in ((10, 1), (20, 1), (30, 2), (40, 2)):
        store.write(answered(["a", "b"], at_ms=at_ms, versions={"champion": version, "frozen": 1}))
    assert store.sample_of("m", 100, (20, 30)).at_ms.tolist() == [20, 20, 30, 30]
    assert store.sample_of("m", 100, (20, 40), version=2).ids.tolist() == [5, 6, 7, 8]
    assert store.sample_of("m", 2, (10, 40)).at_ms.tolist() == [10, 30]
    assert not len(store.sample_of("m", 5, (10, 40), version=3).ids)


def test_scores_are_oldest_first_over_any_number_of_keys(store: PredictionStore) -> None:
    keys = [f"k{place}" for place in range(1_200)]
    store.write(answered(keys, at_ms=1, versions={"champion": 2, "frozen": 1}))
    store.write(answered(keys[::-1], at_ms=2, versions={"champion": 3}))
    wanted = [*keys[::-1], keys[0]]  # asked for twice, told once
    scores = store.scores("m", wanted)
    assert [score.prediction_id for score in scores] == sorted([*range(1, 1_201), *range(1, 2_401)])
    mine = [(score.at_ms, score.role, score.version, score.answer.probability) for score in scores if score.key == "k3"]
    assert mine == [(1, "champion", 2, 2.03), (1, "frozen", 1, 1.03), (2, "champion", 3, 3 + 1_196 / 100)]
    assert store.scores("n", wanted) == []
    assert store.scores("m", []) == []


def test_questions_come_by_id_or_by_time_and_are_counted(store: PredictionStore) -> None:
    for at_ms, keys in ((3_000, ["a", "b"]), (1_000, ["c"]), (2_000, ["a"])):
        store.write(answered(keys, at_ms))
    store.write(answered(["x"], 2_000, model="n"))
    logged = [Asked(1, "a", 3_000), Asked(2, "b", 3_000), Asked(3, "c", 1_000), Asked(4, "a", 2_000)]
    assert (store.asked("m", 0, 9_000, 9), store.asked("m", 1, 9_000, 2), store.asked("m", 4, 9_000, 9)) == (logged, logged[1:3], [])
    assert (store.asked("m", 0, 3_000, 9), store.asked("m", 2, 2_000, 9)) == ([], logged[2:3]), "up to the first that is too young"
    assert store.newest_asked("m", 3_001, 9) == [logged[2], logged[3], logged[0], logged[1]]
    assert (store.newest_asked("m", 3_000, 1), store.newest_asked("none", 9_000, 9)) == ([logged[3]], [])
    assert [store.count_asked("m", *span) for span in ((0, 9_000), (1_000, 3_000), (1_001, 2_000))] == [4, 2, 0]


def test_what_champions_said_comes_in_the_order_of_its_ids(store: PredictionStore) -> None:
    assert (store.last_id(), store.said(0, 10)) == (0, [])
    store.write(answered(["a"], versions={"champion": 4, "frozen": 1}))
    store.write(answered(["b", "c"], at_ms=2_000, model="n"))
    assert store.last_id() == 3
    assert store.said(0, 1) == [Said(1, "m", "a", 1_000, 1_007, '{"taps":{"0":3}}', '{"key":"a"}', 4, Answer(probability=4.0))]
    assert [(one.id, one.model, one.key, one.version) for one in store.said(1, 10)] == [(2, "n", "b", 1), (3, "n", "c", 1)]
    assert store.said(3, 10) == []


def test_servers_say_what_they_serve(store: PredictionStore) -> None:
    store.confirm("s1", "m", 1, now_wall_ms=10)
    store.confirm("s2", "m", 1, now_wall_ms=20)
    store.confirm("s1", "m", 2, now_wall_ms=30)
    store.confirm("s1", "n", 7, now_wall_ms=30)
    assert store.servers("m", seen_after_wall_ms=0) == {"s1": 2, "s2": 1}
    assert store.servers("m", seen_after_wall_ms=30) == {"s1": 2}
    store.leave("s1")
    assert store.servers("m", seen_after_wall_ms=0) == {"s2": 1}
    assert store.servers("n", seen_after_wall_ms=0) == {}


def test_what_was_said_comes_back_as_what_it_was(store: PredictionStore, databases: Databases) -> None:
    batch = answered(["a", "b"], versions={"champion": 2, "frozen": 1})
    said = {1: np.array([[0.25, 0.75], [1.0, 0.0]]), 2: np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])}
    scores: dict[Role, tuple[int, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]] = {"champion": (2, said[2]), "frozen": (1, said[1])}
    store.write(replace(batch, scores=scores, kind="probabilities", classes={1: ("late", "lost"), 2: ("é", "late", "lost")}))
    store.write(replace(answered(["a"], model="n"), scores={"champion": (1, np.array([-12.5]))}, kind="value"))
    store.write(replace(answered(["c"], model="o"), scores={"champion": (1, said[1][:1])}, kind="probabilities", classes={1: (7, 12)}))
    other = PredictionStore(databases)  # one that has not seen the classes
    found = {(score.key, score.role): score.answer for score in other.scores("m", ["a", "b"])}
    assert found["a", "champion"] == Answer(probabilities={"é": 0.5, "late": 0.25, "lost": 0.25})
    assert found["b", "frozen"] == Answer(probabilities={"late": 1.0, "lost": 0.0})
    assert [one.answer for one in other.said(0, 10)] == [
        *(found[key, "champion"] for key in "ab"),
        Answer(value=-12.5),
        Answer(probabilities={7: 0.25, 12: 0.75}),
    ]
    assert [one.answer.prediction for one in other.said(0, 10)] == ["é", "late", -12.5, 12]
    assert [other.served(model).scores.tolist() for model in "mno"] == [[0.5, 0.75], [-12.5], [0.75]]
    assert other.said(3, 1)[0].answer.fields() == {"prediction": 12, "probabilities": {"7": 0.25, "12": 0.75}}
    store.write(replace(batch, scores=scores, kind="probabilities", classes={1: ("late", "lost"), 2: ("é", "late", "lost")}))
    other.close()


def test_the_first_of_equal_classes_is_predicted_and_a_half_is_a_yes() -> None:
    assert Answer(probabilities={"b": 0.4, "a": 0.4, "c": 0.2}).prediction == "b"
    assert [Answer(probability=one).prediction for one in (0.4999, 0.5, 1.0)] == [0, 1, 1]
    assert Answer(value=0.0).fields() == {"prediction": 0.0, "value": 0.0}


def test_several_batches_are_one_transaction_and_a_canary_scores_its_rows_alone(store: PredictionStore) -> None:
    three = answered(["a", "b", "c"], versions={"champion": 4, "shadow": 6})
    three = replace(three, scores={**three.scores, "canary": (5, np.array([0.51, 0.53]))}, places={"canary": [0, 2]})
    assert store.write_all([three, answered([]), answered(["d"], model="n")]) == [[1, 2, 3], [], [4]]
    roles = {(score.key, score.role): (score.version, score.answer.probability) for score in store.scores("m", ["a", "b", "c"])}
    assert {key for key, role in roles if role == "canary"} == {"a", "c"}
    assert (roles["a", "canary"], roles["c", "canary"]) == ((5, 0.51), (5, 0.53))
    assert [roles[key, "champion"][0] for key in "abc"] == [4, 4, 4]
    said = [(one.key, one.version, one.answer.probability) for one in store.said(0, 10)]
    assert said == [("a", 5, 0.51), ("b", 4, roles["b", "champion"][1]), ("c", 5, 0.53), ("d", 1, 1.0)]
    assert store.served("m").versions.tolist() == [4, 4, 4], "monitors look at the champion, which has scored all"
    assert store.write_all([]) == []
