"""Reactions: what may be declared, which events they look at, and when an earlier one is enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.events.taps import BY_LINE, BY_LINE_AND_GATE, STAMPS, TAPS, Tap, batch_of, payload
from tidemill.errors import ProjectError
from tidemill.events import Stream
from tidemill.features import Expression, Reaction, Table, col, on, take_first
from tidemill.project import Project

WHEN = (col("fare") > 2) & (col("by_line__n_all") >= 3)
GOOD: dict[str, Any] = {
    "name": "dear",
    "when": WHEN,
    "features": [BY_LINE],
    "run": "investigate/taps",
    "once_per": ("line",),
    "within": "1h",
    "parameters": {"where": "line", "n": "by_line__n_all"},
}
NEWEST = Table("newest", TAPS, key="line", columns=["gate", "fare"])


def declared(**changes: Any) -> Reaction:
    return on(TAPS, **{**GOOD, **changes})


@pytest.mark.parametrize(
    ("changes", "message", "fix"),
    [
        ({"when": col("fair") > 2}, "'fair' is not a number of stream 'taps'", "fare, riders, by_line__n_all"),
        ({"when": col("by_line__n_any") > 2}, "'by_line__n_any' is not a number", "by_line__n_all"),
        ({"when": col("by_line_and_gate__n_all") > 2}, "'by_line_and_gate__n_all' is not", "by_line__n_all"),
        ({"when": col("line") > 2}, "'line' is not a number", "fare"),
        ({"when": col("fare") + 2}, """when=("fare" + 2) is not a condition""", "when=col('amount') > 100"),
        ({"when": col("by_line__n_all")}, "'by_line__n_all' is not true or false", "compare a field"),
        ({"when": True}, "when=True is not a condition", "when=col('amount') > 100"),
        ({"features": BY_LINE}, "features is one view", "write features=[by_line]"),
        ({"run": ""}, "it does not say what to do", "run='FLOW/DEPLOYMENT', webhook='https://...'"),
        ({"webhook_env": "HOOK"}, "run and webhook_env are given", "give one of"),
        ({"run": "investigate"}, "run='investigate' is no deployment", "write run='FLOW/DEPLOYMENT'"),
        ({"run": "", "webhook": "127.0.0.1:9000"}, "webhook='127.0.0.1:9000' is no URL", "webhook='https://example.org/hook'"),
        ({"run": "", "webhook": "ftp://127.0.0.1/"}, "is no URL", "webhook='https://example.org/hook'"),
        ({"run": "", "webhook": "https://ana:pw@example.org/"}, "the webhook holds a password", "webhook_env='NAME'"),
        ({"once_per": "lane"}, "once_per 'lane' is not a field of stream 'taps'", "line"),
        ({"once_per": ("line", "by_line__n_all")}, "once_per 'by_line__n_all' is not a field", "line"),
        ({"once_per": ()}, "within says nothing without once_per", "once_per='card'"),
        ({"within": "soon"}, "'soon' is not a duration", "within='6h'"),
        ({"within": 0}, "not a positive duration", "within='6h'"),
        ({"parameters": {"where": "lane"}}, "parameter 'where' reads 'lane'", "line"),
    ],
)
def test_a_mistake_names_reaction_and_fix(changes: dict[str, Any], message: str, fix: str) -> None:
    with pytest.raises(ProjectError) as caught:
        declared(**changes)
    assert caught.value.where.startswith("reaction 'dear'")
    assert message in str(caught.value)
    assert fix in caught.value.fix
    assert "pw" not in str(caught.value)


def test_features_are_read_by_fields_of_the_event_and_cannot_be_mistaken_for_them() -> None:
    with pytest.raises(ProjectError, match="view 'by_line' is read by 'line', which is not a text field of stream 'stamps'"):
        on(STAMPS, name="odd", when=col("number") > 1, features=[BY_LINE], run="a/b")

    class Odd(Tap):
        by_line__n_all: int

    odd = Stream("odd", schema=Odd, event_time="at", event_id="tap_id")
    with pytest.raises(ProjectError, match="'by_line__n_all' is a field of the event and a feature; rename one of them"):
        on(odd, name="odd", when=WHEN, features=[BY_LINE], run="a/b")


def test_a_project_has_what_its_reactions_read_and_no_two_of_a_name() -> None:
    with pytest.raises(ProjectError, match=r"reaction 'dear' reads view 'by_line'; add it to views=\[...\]"):
        Project("tides", streams=[TAPS], reactions=[declared()])
    with pytest.raises(ProjectError, match=r"reaction 'dear' reads stream 'taps'; add it to streams=\[...\]"):
        Project("tides", streams=[STAMPS], reactions=[declared()])
    with pytest.raises(ProjectError, match="two reactions are called 'dear'"):
        Project("tides", streams=[TAPS], views=[BY_LINE], reactions=[declared(), declared()])


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({}, "run investigate/taps"),
        ({"run": "", "webhook": "https://example.org:8443/s3cr3t?token=s3cr3t"}, "webhook example.org:8443"),
        ({"run": "", "webhook_env": "TAPS_HOOK"}, "webhook $TAPS_HOOK"),
    ],
)
def test_the_target_for_a_person_holds_no_secret(changes: dict[str, Any], target: str) -> None:
    assert declared(**changes).target == target


@pytest.mark.parametrize(
    ("when", "may", "does"),
    [
        (WHEN, [True, False, False, True], [True, False, False, False]),
        ((col("fare") > 2) | (col("by_line__n_all") >= 3), [True] * 4, [True, False, True, True]),
        (~(col("fare") > 2) & (col("by_line__n_all") >= 1), [False, True, False, False], [False, True, False, False]),
        (col("line").equals("b") & col("riders").is_null() & (col("fare") < 9), [False, True, False, True], [False, True, False, True]),
        (col("by_line__n_all") >= 3, [True] * 4, [True, False, True, False]),
    ],
)
def test_features_are_read_only_where_the_event_leaves_it_open(when: Expression, may: list[bool], does: list[bool]) -> None:
    fares: list[tuple[str, float | None]] = [("a", 3.0), ("b", 1.0), ("a", None), ("b", 8.0)]
    batch = batch_of([payload(f"t{place}", 1, line=line, fare=fare) for place, (line, fare) in enumerate(fares)])
    reaction = declared(when=when, parameters={})
    assert reaction.may_hold(batch).tolist() == may
    assert reaction.holds(batch, {"by_line__n_all": np.array([3.0, 2.0, 5.0, 1.0])}).tolist() == does


def test_text_of_a_table_is_compared_and_several_sources_are_read_together() -> None:
    when = col("newest__gate").equals("x") & (col("by_line_and_gate__n_all") > 1)
    reaction = declared(when=when, features=[NEWEST, BY_LINE_AND_GATE], parameters={})
    batch = batch_of([payload("t1", 1, line="a", gate="x", fare=1.0)] * 2)
    values = {"newest__gate": np.array(["x", None], dtype=object), "by_line_and_gate__n_all": np.array([2.0, 2.0])}
    assert reaction.holds(batch, values).tolist() == [True, False]


def naive_first(matches: list[tuple[str, int]], within_ms: int | None) -> list[int]:
    """One loop over the matches; each looks at every reaction before it."""
    done: list[tuple[str, int, int]] = []
    for place, (key, at_ms) in enumerate(matches):
        if not any(key == earlier and (within_ms is None or at_ms < then_ms + within_ms) for earlier, then_ms, _ in done):
            done.append((key, at_ms, place))
    return [place for _, _, place in done]


@given(
    matches=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=30),
    within_ms=st.none() | st.integers(1, 12),
    cuts=st.lists(st.integers(0, 30), max_size=3),
)
def test_the_first_of_a_key_holds_it_for_as_long_as_it_says(matches: list[tuple[str, int]], within_ms: int | None, cuts: list[int]) -> None:
    """Whatever batches they come in; the second number of a match is how long after the one before."""
    at_ms = np.cumsum([after_ms for _, after_ms in matches], dtype=np.int64).tolist()
    timed = list(zip([key for key, _ in matches], at_ms, strict=True))
    reaction, held = declared(within=within_ms), dict[str, int]()
    taken = []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(timed)], strict=True):
        some = timed[begin:end]
        taken += [begin + place for place in take_first([key for key, _ in some], [at for _, at in some], reaction, held)]
    assert taken == naive_first(timed, within_ms)
