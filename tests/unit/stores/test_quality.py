"""Quality against a naive twin: which prediction of a key counts, and which outcome it meets."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.events.taps import LABEL, T0, entry, make_engine, open_log, open_state
from tidemill.clock import HOUR_MS
from tidemill.stores import Answered, PredictionStore, QualityReader, Role

# (id, key, at, {role: version}) and (known at, key, 0 or 1)
Said = tuple[int, str, int, dict[Role, int]]
Happened = tuple[int, str, float]
Row = tuple[str, int, int, float, float]
MINUTES = st.integers(0, 150)


def naive_judged(said: list[Said], happened: list[Happened], from_ms: int, to_ms: int) -> list[Row]:
    """Of each (key, version, role) the last prediction with an outcome after the question and in time, with the last such outcome."""
    last: dict[tuple[str, int, str], tuple[int, Row]] = {}
    for number, key, at_ms, versions in said:
        met = [value for known_at_ms, owner, value in happened if owner == key and at_ms < known_at_ms <= at_ms + LABEL.within_ms]
        for role, version in versions.items():
            if met:
                last[key, version, role] = (number, (role, version, at_ms, number / 1_000, met[-1]))
    return [row for _, row in sorted(last.values(), key=lambda kept: (kept[0], kept[1][0])) if from_ms <= row[2] < to_ms]


def judged(said: list[Said], happened: list[Happened], from_ms: int, to_ms: int) -> list[Row]:
    """The same by the stores: predictions logged, outcomes applied by the engine."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        log, state, store = open_log(home), open_state(home), PredictionStore(home / "serving.db")
        for number, key, at_ms, versions in said:
            scores = {role: (version, np.array([number / 1_000])) for role, version in versions.items()}
            store.write(Answered("dear", at_ms, at_ms, "{}", "d", [key], ["{}"], np.zeros((1, 1)), scores))
        log.append([entry(f"t{place}", at, line=key, fare=2 * value) for place, (at, key, value) in enumerate(happened)], now_ms=0)
        make_engine(log, state).drain(100)
        reader = QualityReader(home / "serving.db", home / "state.db")
        found = reader.judged("dear", LABEL, from_ms, to_ms)
        assert len(reader.judged("other", LABEL, from_ms, to_ms).role) == 0
        champion = found.of_role("champion")
        assert champion.version.tolist() == found.version[found.role == "champion"].tolist()
        for opened in (reader, store, state, log):
            opened.close()
    columns = (found.role, found.version, found.at_ms, found.probability, found.outcome)
    return list(zip(*(column.tolist() for column in columns), strict=True))


VERSIONS = st.sampled_from([{"champion": 1, "frozen": 1}, {"champion": 2, "frozen": 1}, {"champion": 3}])


@settings(max_examples=25)
@given(
    asked=st.lists(st.tuples(MINUTES, st.sampled_from("ab"), VERSIONS), max_size=10),
    outcomes=st.lists(st.tuples(MINUTES, st.sampled_from("ab"), st.sampled_from([0.0, 1.0])), max_size=8),
    window=st.tuples(MINUTES, MINUTES),
)
def test_quality_is_what_the_naive_twin_counts(
    asked: list[tuple[int, str, dict[Role, int]]], outcomes: list[Happened], window: tuple[int, int]
) -> None:
    at = [T0 + minute * 60_000 for minute, _, _ in sorted(asked, key=lambda one: one[0])]
    said = [(place + 1, key, at[place], dict(versions)) for place, (_, key, versions) in enumerate(sorted(asked, key=lambda one: one[0]))]
    happened = sorted(((T0 + minute * 60_000, key, value) for minute, key, value in outcomes), key=lambda one: one[0])
    from_ms, to_ms = (T0 + minute * 60_000 for minute in window)
    assert judged(said, happened, from_ms, to_ms) == naive_judged(said, happened, from_ms, to_ms)


def test_the_rules_one_by_one() -> None:
    both: dict[Role, int] = {"champion": 2, "frozen": 1}
    said: list[Said] = [(1, "a", T0, both), (2, "a", T0 + 10, both), (3, "b", T0, both), (4, "c", T0, both), (5, "d", T0, both)]
    happened: list[Happened] = [
        (T0, "b", 1.0),  # known when it was asked: no outcome of the question
        (T0 + 20, "a", 0.0),
        (T0 + 30, "a", 1.0),  # corrected
        (T0 + HOUR_MS, "c", 1.0),  # just in time
        (T0 + HOUR_MS + 1, "d", 1.0),  # too late
    ]
    want: list[Row] = [
        ("champion", 2, T0 + 10, 0.002, 1.0),
        ("frozen", 1, T0 + 10, 0.002, 1.0),
        ("champion", 2, T0, 0.004, 1.0),
        ("frozen", 1, T0, 0.004, 1.0),
    ]
    assert judged(said, happened, T0, T0 + HOUR_MS) == want
    assert naive_judged(said, happened, T0, T0 + HOUR_MS) == want
    assert judged(said, happened, T0, T0 + 10) == want[2:]  # `to` is not in it, and an earlier answer does not stand in
