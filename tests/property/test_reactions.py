"""What reactions come to is what one loop over all events says, whatever the batches, the lake's pace and the restarts."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.naive import in_window, naive_truth, naive_verdicts
from tests.unit.events.taps import T0, TAPS, entry
from tidemill.clock import MINUTE_MS, duration_ms
from tidemill.features import Expression, Reaction, View, col, count, on
from tidemill.project import Project, Workspace
from tidemill.serving.reactions import ReactionWatch
from tidemill.streams import Entry

BY_LINE = View("by_line", TAPS, entity="line", features={"n": count(over="10min", bucket="1min")})
RETENTION_MS = Project("tides", streams=[TAPS], views=[BY_LINE]).retention_ms["taps"]
N = "by_line__n"


@dataclass(frozen=True)
class Tapped:
    """One event on its way to the log; its id may have been there before, and `lag_ms` may make it late."""

    number: int
    line: str | None
    fare: float | None
    after_ms: int
    lag_ms: int
    torn: bool


@dataclass(frozen=True)
class Chunk:
    """Events that are appended and applied together, then looked at."""

    tapped: Sequence[Tapped]
    into_lake: bool
    restart: bool


TAPPED = st.builds(
    Tapped,
    number=st.integers(0, 12),
    line=st.sampled_from(["a", "b", None]),
    fare=st.none() | st.integers(0, 4).map(float),
    after_ms=st.integers(0, 4 * MINUTE_MS),
    lag_ms=st.sampled_from([0, 0, 0, 1_000, 20 * MINUTE_MS, RETENTION_MS + 1]),
    torn=st.booleans().filter(lambda torn: not torn) | st.booleans(),
)
CHUNKS = st.lists(st.builds(Chunk, st.lists(TAPPED, min_size=1, max_size=8), st.booleans(), st.booleans()), min_size=1, max_size=5)
DEAR = st.integers(0, 4).map(lambda least: col("fare") >= least)
MANY = st.integers(1, 6).map(lambda least: col(N) >= least)
WHEN = st.one_of(DEAR, MANY, st.builds(lambda a, b: a & b, DEAR, MANY), st.builds(lambda a, b: a | ~b, DEAR, MANY))


@st.composite
def reactions(draw: st.DrawFn, name: str) -> Reaction:
    once_per = draw(st.sampled_from([(), ("line",), ("line", "fare")]))
    within = draw(st.none() | st.integers(1, 10).map(lambda n: n * MINUTE_MS)) if once_per else None
    told = {"where": "line", "n": N}
    return on(TAPS, name=name, when=draw(WHEN), features=[BY_LINE], run="a/b", once_per=once_per, within=within, parameters=told)


def naive_reactions(reaction: Reaction, chunks: Sequence[Sequence[tuple[int, Tapped]]]) -> list[tuple[str, float]]:
    """The ids of the events that a reaction follows, each with the number of events of its line that was read."""
    history = [(known_ms, f"t{one.number}", None if one.torn else known_ms - one.lag_ms) for chunk in chunks for known_ms, one in chunk]
    verdicts = iter(naive_verdicts(history, RETENTION_MS, TAPS.max_ahead_ms))
    applied: list[tuple[int, Tapped]] = []
    done: list[tuple[object, int]] = []
    followed = []
    for chunk in chunks:
        fresh = [(known_ms, one) for known_ms, one in chunk if next(verdicts) == "applied"]
        applied += fresh
        for known_ms, one in fresh:
            of_line = [(at_ms - each.lag_ms, 1.0) for at_ms, each in applied if each.line == one.line and one.line is not None]
            n = float(len(in_window(of_line, BY_LINE.features["n"], chunk[-1][0])))
            key = [{"line": one.line, "fare": one.fare}[name] for name in reaction.once_per]
            reach_ms = 2**60 if reaction.within is None else duration_ms(reaction.within)
            held = bool(key) and any(earlier == key and known_ms < then_ms + reach_ms for earlier, then_ms in done)
            if naive_truth(reaction.when, {"fare": one.fare, N: n}) and not held:
                done.append((key, known_ms))
                followed.append((f"t{one.number}", n))
    return followed


@settings(max_examples=30)
@given(first=reactions("first"), second=reactions("second"), chunks=CHUNKS)
def test_they_follow_the_events_that_a_loop_finds(first: Reaction, second: Reaction, chunks: list[Chunk]) -> None:
    known_ms, history, chosen = T0, list[list[tuple[int, Tapped]]](), [first, second]
    project = Project("tides", streams=[TAPS], views=[BY_LINE], reactions=chosen)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(project, Path(folder))
        engine, lake, watch = workspace.engine(), workspace.lake_writer(), ReactionWatch(workspace)
        for chunk in chunks:
            entries: list[Entry] = []
            history.append([])
            for one in chunk.tapped:
                known_ms += one.after_ms
                history[-1].append((known_ms, one))
                whole = entry(f"t{one.number}", known_ms - one.lag_ms, known_ms, line=one.line, fare=one.fare)
                entries.append(Entry("taps", "{", known_ms) if one.torn else whole)
            workspace.log.append(entries, 0)
            engine.drain(3)
            if chunk.into_lake:
                lake.flush()
            if chunk.restart:
                watch = ReactionWatch(workspace)
            watch.step()
        found = {one.name: [orjson.loads(match.body) for match in workspace.reactions.due(one.name, 0, 1_000)] for one in chosen}
        matches = {name: standing.matches for name, standing in workspace.reactions.standing().items()}
        workspace.close()
    for reaction in chosen:
        said: list[dict[str, Any]] = found[reaction.name]
        want = naive_reactions(reaction, history)
        assert sorted((one["event_id"], one["features"][N]) for one in said) == sorted(want)
        assert [one["parameters"]["n"] for one in said] == [one["features"][N] for one in said]
        assert matches[reaction.name] == len(want)


def test_the_strategies_make_reactions_follow() -> None:
    """Else the test above would say little."""
    when: Expression = (col("fare") >= 2) & (col(N) >= 2)
    reaction = on(TAPS, name="r", when=when, features=[BY_LINE], once_per=("line",), within="5min", run="a/b")
    chunk = [(T0 + place * MINUTE_MS, Tapped(place, "a", 3.0, 0, 0, False)) for place in range(8)]
    assert naive_reactions(reaction, [[one] for one in chunk]) == [("t1", 2.0), ("t6", 7.0)]
