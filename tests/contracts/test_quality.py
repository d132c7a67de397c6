"""Quality: which prediction meets which outcome, against one loop over both."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tidemill.clock import MINUTE_MS
from tidemill.events import Stream
from tidemill.features import Label, View, count
from tidemill.stores import Answered, Databases, Followed, PredictionStore, QualityReader, SqlLog
from tidemill.stores import quality as module
from tidemill.stores.cursors import reading_cursor
from tidemill.stores.predictions import LAST_MS
from tidemill.stores.state_opening import open_state
from tidemill.streams import Engine, Entry

WITHIN_MS = 10 * MINUTE_MS


class Result(BaseModel):
    """An outcome: `won` is 0 or 1, or missing."""

    result_id: str
    at: int
    key: str
    won: int | None


RESULTS = Stream("results", schema=Result, event_time="at", event_id="result_id")
LABEL = Label(RESULTS, key="key", value="won", within="10min")
VIEW = View("by_key", RESULTS, entity="key", features={"n": count(over="1h")})


@dataclass(frozen=True)
class Asked:
    key: str
    minute: int
    champion: int  # its version; the frozen one is always 1
    with_frozen: bool


@dataclass(frozen=True)
class Told:
    key: str
    minute: int
    won: int | None


KEYS, MINUTES = st.sampled_from(["a", "b"]), st.integers(0, 40)
ASKED = st.lists(st.builds(Asked, KEYS, MINUTES, st.integers(1, 2), st.booleans()), max_size=10)
TOLD = st.lists(st.builds(Told, KEYS, MINUTES, st.sampled_from([0, 1, 1, None])), max_size=10)
Row = tuple[str, int, int, float, float]


def probability(place: int, role: str) -> float:
    """What the prediction at a place said; no two said the same."""
    return (2 * place + (role == "frozen")) / 1_000


def naive_judged(asked: list[Asked], told: list[Told], from_minute: int, to_minute: int) -> list[Row]:
    """Of each (key, version, role) the last prediction that an outcome counts for, with the last such outcome."""
    last: dict[tuple[str, int, str], Row] = {}
    for place, ask in enumerate(asked):
        for role, version in (("champion", ask.champion), *([("frozen", 1)] if ask.with_frozen else [])):
            for tell in told:
                in_time = 0 < (tell.minute - ask.minute) * MINUTE_MS <= WITHIN_MS
                if tell.key == ask.key and tell.won is not None and in_time:
                    last[ask.key, version, role] = (role, version, ask.minute * MINUTE_MS, probability(place, role), float(tell.won))
    return sorted(row for row in last.values() if from_minute * MINUTE_MS <= row[2] < to_minute * MINUTE_MS)


def naive_followed(asked: list[Asked], told: list[Told], from_minute: int, to_minute: int) -> list[tuple[object, ...]]:
    """The same, and where no outcome counts for any prediction of a (key, version, role), the last of them without one."""
    kept: dict[tuple[str, int, str], tuple[object, ...]] = {}
    for place, ask in enumerate(asked):
        for role, version in (("champion", ask.champion), *([("frozen", 1)] if ask.with_frozen else [])):
            mine = [
                tell
                for tell in told
                if tell.key == ask.key and tell.won is not None and 0 < (tell.minute - ask.minute) * MINUTE_MS <= WITHIN_MS
            ]
            name, said = (ask.key, version, role), (role, version, ask.minute * MINUTE_MS, probability(place, role))
            if mine:
                kept[name] = (*said, float(mine[-1].won or 0), mine[0].minute * MINUTE_MS, len(mine))
            elif name not in kept or kept[name][4] is None:
                kept[name] = (*said, None, -1, 0)
    return sorted((row for row in kept.values() if from_minute * MINUTE_MS <= row[2] < to_minute * MINUTE_MS), key=repr)  # type: ignore[operator]  # its third is a time


def rows_of(followed: Followed) -> list[tuple[object, ...]]:
    columns = (
        followed.role,
        followed.version,
        followed.at_ms,
        followed.said,
        followed.outcome,
        followed.first_known_ms,
        followed.n_told,
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return sorted(((*row[:4], None if np.isnan(row[4]) else row[4], *row[5:]) for row in rows), key=repr)


def write_all(databases: Databases, asked: list[Asked], told: list[Told]) -> None:
    log = SqlLog(databases, ["results"])
    state = open_state(databases, [VIEW], {"m": LABEL}, {"results": VIEW.retention_ms})
    payloads = [
        Result(result_id=f"r{n}", at=tell.minute * MINUTE_MS, key=tell.key, won=tell.won).model_dump_json() for n, tell in enumerate(told)
    ]
    log.append([Entry("results", text, tell.minute * MINUTE_MS) for text, tell in zip(payloads, told, strict=True)], now_ms=0)
    Engine(log, state, [RESULTS], {"results": VIEW.retention_ms}).drain(3)
    predictions = PredictionStore(databases)
    for place, ask in enumerate(asked):
        champion = (ask.champion, np.array([probability(place, "champion")]))
        frozen = {"frozen": (1, np.array([probability(place, "frozen")]))} if ask.with_frozen else {}
        for model in ("m", "other"):
            scores = {"champion": champion, **frozen} if model == "m" else {"champion": (9, np.array([0.999]))}
            predictions.write(Answered(model, ask.minute * MINUTE_MS, 0, "{}", "d", [ask.key], ["{}"], np.zeros((1, 1)), scores))  # type: ignore[arg-type]  # roles by name
    for store in (log, state, predictions):
        store.close()


@settings(max_examples=25)
@given(asked=ASKED, told=TOLD, from_minute=st.integers(0, 20), minutes=st.integers(1, 40))
@example(asked=[Asked("a", 0, 1, False)], told=[Told("a", 5, 1), Told("a", 9, 0)], from_minute=0, minutes=40)  # a correction wins
@example(
    asked=[Asked("a", 0, 1, False)], told=[Told("a", 5, 1), Told("a", 11, 0)], from_minute=0, minutes=40
)  # one that is too late does not
@example(asked=[Asked("a", 0, 1, False)], told=[Told("a", 10, 1)], from_minute=0, minutes=40)  # in the last moment
@example(asked=[Asked("a", 5, 1, False)], told=[Told("a", 5, 1)], from_minute=0, minutes=40)  # known when asked: no prediction
@example(asked=[Asked("a", 0, 1, True), Asked("a", 1, 1, True)], told=[Told("a", 5, 1)], from_minute=0, minutes=1)  # the last is outside
def test_quality_counts_what_one_loop_counts(asked: list[Asked], told: list[Told], from_minute: int, minutes: int) -> None:
    asked, told = sorted(asked, key=lambda ask: ask.minute), sorted(told, key=lambda tell: tell.minute)
    with tempfile.TemporaryDirectory() as folder:
        write_all(Databases(Path(folder)), asked, told)
        reader = QualityReader(Databases(Path(folder)))
        judged = reader.judged("m", LABEL, from_minute * MINUTE_MS, (from_minute + minutes) * MINUTE_MS)
        followed = reader.followed("m", LABEL, (from_minute * MINUTE_MS, (from_minute + minutes) * MINUTE_MS))
        again = reader.judged("m", LABEL, from_minute * MINUTE_MS, (from_minute + minutes) * MINUTE_MS)
        tried = reader.tried("m", LABEL, (from_minute * MINUTE_MS, (from_minute + minutes) * MINUTE_MS), ("frozen", 1))
        reader.close()
    rows = list(
        zip(
            judged.role.tolist(),
            judged.version.tolist(),
            judged.at_ms.tolist(),
            judged.said.tolist(),
            judged.outcome.tolist(),
            strict=True,
        )
    )
    assert sorted(rows) == naive_judged(asked, told, from_minute, from_minute + minutes)
    assert judged.at_ms.tolist() == sorted(judged.at_ms.tolist())
    found = rows_of(followed)
    assert found == naive_followed(asked, told, from_minute, from_minute + minutes)
    assert sorted(row[:5] for row in found if row[4] is not None) == sorted(rows)
    assert again.said.tolist() == judged.said.tolist()
    frozen = judged.of_role("frozen")
    assert frozen.said.tolist() == [row[3] for row in rows if row[0] == "frozen"]
    assert (tried.own.said.tolist(), tried.one_in) == (frozen.said.tolist(), 1)
    places = [round(1_000 * said - 1) // 2 for said in frozen.said.tolist()]
    assert tried.champion.said.tolist() == [probability(place, "champion") for place in places]
    assert tried.champion.version.tolist() == [asked[place].champion for place in places]


def test_of_many_questions_a_trial_is_compared_on_some(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [Asked(f"k{number % 150}", number // 30, 1, number % 3 > 0) for number in range(300)]
    write_all(databases, asked, [Told(f"k{number}", 11, number % 2) for number in range(150)])
    reader = QualityReader(databases)
    whole = reader.tried("m", LABEL, (0, LAST_MS), ("frozen", 1))
    monkeypatch.setattr(module, "_MOST_TRIED", 50)
    some = reader.tried("m", LABEL, (0, LAST_MS), ("frozen", 1))
    reader.close()
    assert (whole.one_in, len(whole.own.said), some.one_in) == (1, 100, 4)
    assert 15 <= len(some.own.said) <= 60
    for seen in (whole, some):
        assert seen.own.prediction.tolist() == seen.champion.prediction.tolist()
        assert (1_000 * (seen.own.said - seen.champion.said)).round().tolist() == [1] * len(seen.own.said)
        assert seen.own.outcome.tolist() == seen.champion.outcome.tolist()


def test_on_every_database_it_counts_the_same(databases: Databases) -> None:
    """A correction, one that is too late, one in the last moment, one known when asked, and two versions of a key."""
    asked = [Asked("a", 0, 1, False), Asked("b", 0, 1, True), Asked("b", 1, 2, True), Asked("a", 5, 1, False), Asked("é", 6, 3, True)]
    told = [Told("a", 5, 1), Told("a", 9, 0), Told("b", 10, 1), Told("b", 12, 0), Told("é", 16, 1)]
    write_all(databases, asked, told)
    reader = QualityReader(databases)
    judged = reader.judged("m", LABEL, 0, 40 * MINUTE_MS)
    followed = reader.followed("m", LABEL, (0, 40 * MINUTE_MS), beside="vectors")
    plain = reader.followed("m", LABEL, (0, 40 * MINUTE_MS), beside="texts")
    reader.close()
    assert rows_of(followed) == naive_followed(asked, told, 0, 40)
    assert (list(followed.requests), list(followed.texts)) == (["{}"] * len(followed), [None] * len(followed))
    assert ({*followed.digests}, {bytes(vector) for vector in followed.vectors}) == ({"d"}, {np.zeros(1).tobytes()})
    assert (list(plain.requests), plain.vectors, len(followed.vectors)) == (list(followed.requests), (), len(followed))
    columns = (judged.role, judged.version, judged.at_ms, judged.said, judged.outcome)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    assert sorted(rows) == naive_judged(asked, told, 0, 40)
    assert judged.at_ms.tolist() == sorted(judged.at_ms.tolist())


def test_of_a_correction_the_last_known_counts_and_both_are_kept(databases: Databases) -> None:
    write_all(databases, [Asked("a", 0, 1, False)], [Told("a", 5, 1), Told("a", 9, 0)])
    state = open_state(databases, [VIEW], {"m": LABEL}, {"results": VIEW.retention_ms})
    reader = QualityReader(databases)
    followed = reader.followed("m", LABEL, (0, MINUTE_MS))
    kept = [(outcome.known_at_ms, outcome.value) for outcome in state.outcomes("m", 0, 10)]
    for store in (state, reader):
        store.close()
    assert (followed.outcome.tolist(), followed.first_known_ms.tolist(), followed.n_told.tolist()) == ([0.0], [5 * MINUTE_MS], [2])
    assert kept == [(5 * MINUTE_MS, 1.0), (9 * MINUTE_MS, 0.0)]


class Graded(BaseModel):
    """An outcome that is one of several, and a number."""

    result_id: str
    at: int
    key: str
    grade: str | None
    stars: int
    minutes: float


GRADED = Stream("graded", schema=Graded, event_time="at", event_id="result_id")
LABELS = {name: Label(GRADED, key="key", value=name, within="10min") for name in ("grade", "stars", "minutes")}
GRADES = View("by_key", GRADED, entity="key", features={"n": count(over="1h")})


def test_classes_and_values_meet_their_outcomes_on_every_database(databases: Databases) -> None:
    """Two versions that know other classes, an outcome that neither knows, and one that is null."""
    log = SqlLog(databases, ["graded"])
    state = open_state(databases, [GRADES], LABELS, {"graded": GRADES.retention_ms})
    told = [("a", "good", 5), ("b", "bad", 1), ("c", None, 3), ("d", "new", 9)]
    payloads = [
        Graded(result_id=f"r{key}", at=5 * MINUTE_MS, key=key, grade=grade, stars=stars, minutes=stars / 2).model_dump_json()
        for key, grade, stars in told
    ]
    log.append([Entry("graded", text, 5 * MINUTE_MS) for text in payloads], now_ms=0)
    Engine(log, state, [GRADED], {"graded": GRADES.retention_ms}).drain(3)
    assert [outcome.value for outcome in state.outcomes("grade", 0, 9)] == ["good", "bad", "new"]
    assert [outcome.value for outcome in state.outcomes("minutes", 0, 9)] == [2.5, 0.5, 1.5, 4.5]
    for model in ("grade", "minutes"):
        kept = state.outcomes(model, 0, 9)
        assert (state.newest_outcomes(model, 2), state.newest_outcomes(model, 9)) == (kept[-2:], kept)
        assert state.outcomes_of(model, ["none"] * 600 + [kept[-1].key]) == [one for one in kept if one.key == kept[-1].key]
    predictions, vectors = PredictionStore(databases), np.zeros((4, 1))
    asked = {"at_ms": 0, "made_wall_ms": 0, "position": "{}", "digest": "d", "keys": [*"abcd"], "requests": ["{}"] * 4, "numbers": vectors}
    three, two = np.tile([0.5, 0.25, 0.25], (4, 1)), np.tile([0.75, 0.25], (4, 1))
    scores = {"champion": (2, three), "frozen": (1, two)}
    classes = {2: ("bad", "good", "worse"), 1: ("bad", "good")}
    predictions.write(Answered(model="grade", **asked, scores=scores, kind="probabilities", classes=classes))  # type: ignore[arg-type]  # by name
    stars = {"champion": (1, two)}
    predictions.write(Answered(model="stars", **asked, scores=stars, kind="probabilities", classes={1: (1, 5)}))  # type: ignore[arg-type]
    values = {"champion": (1, np.arange(4.0))}
    predictions.write(Answered(model="minutes", **asked, scores=values, kind="value"))  # type: ignore[arg-type]  # the same
    reader = QualityReader(databases)
    grade, star, minute = (reader.judged(name, LABELS[name], 0, MINUTE_MS) for name in LABELS)
    reader.close()
    assert grade.classes == ("bad", "good", "new", "worse")
    champion, frozen = grade.of_role("champion"), grade.of_role("frozen")
    assert champion.said.tolist() == [[0.5, 0.25, 0, 0.25]] * 3 and frozen.said.tolist() == [[0.75, 0.25, 0, 0]] * 3
    assert champion.outcome.tolist() == frozen.outcome.tolist() == [1, 0, 2]
    assert (star.classes, star.outcome.tolist()) == ((1, 3, 5, 9), [2, 0, 1, 3])
    assert star.said.tolist() == [[0.75, 0, 0.25, 0]] * 4
    assert (minute.said.tolist(), minute.outcome.tolist(), minute.classes) == ([0, 1, 2, 3], [2.5, 0.5, 1.5, 4.5], ())
    for store in (log, state, predictions):
        store.close()


@pytest.mark.parametrize("query", [module._JUDGED, *module._FOLLOWED.values(), "tried"])
def test_sqlite_looks_outcomes_and_predictions_up_by_their_key(query: str, tmp_path: Path) -> None:
    databases = Databases(tmp_path)
    open_state(databases, [VIEW], {"m": LABEL}, {"results": VIEW.retention_ms}).close()
    PredictionStore(databases).close()
    reader = QualityReader(databases)
    asked = reader._here(reader._tried if query == "tried" else query)
    values = ("m", WITHIN_MS, 0, 1, "shadow", 2, 3)[: 7 if query == "tried" else 4]
    with reading_cursor(reader._engine) as cursor:
        plan = [row[3] for row in cursor.execute(f"explain query plan {asked}", values).fetchall()]
    reader.close()
    for step in ("SEARCH o USING INDEX outcome_by_key (model=? AND key=?)", "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)"):
        assert any(each.startswith(step) for each in plan), plan
    assert any("prediction_key USING PRIMARY KEY (key=?)" in each for each in plan), plan
