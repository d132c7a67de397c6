"""The engine against naive rules: where each event goes, that the books balance at every commit, and that a restart changes nothing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.property.naive import naive_verdicts
from tests.unit.events.taps import RETENTION_MS, T0, TAPS, VIEWS, applied_offsets, entry, make_engine, open_log, open_state
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.stores import Lookup, SqlLog, SqlState
from tidemill.streams import Books, Entry

RETAINED_MS = RETENTION_MS["taps"]
# A copy is told from a late event, and a forgotten id from a kept one, by one millisecond.
EDGES = [lag + off for lag in (0, RETAINED_MS, 2 * RETAINED_MS, -TAPS.max_ahead_ms) for off in (-1, 0, 1)]


@dataclass(frozen=True)
class Sent:
    """One event of a drawn history; `lag_ms` is None for malformed text."""

    pause_ms: int
    number: int
    lag_ms: int | None
    fare: float | None


SENT = st.builds(
    Sent,
    pause_ms=st.sampled_from([0, 0, 1, HOUR_MS, RETAINED_MS, RETAINED_MS + 1, 2 * DAY_MS]) | st.integers(0, 7 * HOUR_MS),
    number=st.integers(0, 5),
    lag_ms=st.none() | st.sampled_from(EDGES) | st.integers(-HOUR_MS, RETAINED_MS + HOUR_MS),
    fare=st.none() | st.integers(0, 9).map(float),
)
HISTORIES = st.lists(SENT, min_size=1, max_size=25)
Record = tuple[int, str, int | None]


def entries_of(history: list[Sent]) -> tuple[list[Entry], list[Record]]:
    """What is appended, and the same as (known at, id, event time) for the naive rules."""
    entries, records, known_at_ms = [], [], T0
    for sent in history:
        known_at_ms += sent.pause_ms
        at_ms = None if sent.lag_ms is None else known_at_ms - sent.lag_ms
        tap_id = f"t{sent.number}"
        records.append((known_at_ms, tap_id, at_ms))
        if at_ms is None:
            entries.append(Entry("taps", '{"tap_id": 1}', known_at_ms))
        else:
            entries.append(entry(tap_id, at_ms, known_at_ms, line="a", fare=sent.fare))
    return entries, records


def naive_books(verdicts: list[str], taken: int) -> Books:
    """The books when so many of the log's events were taken."""
    of = {verdict: verdicts[:taken].count(verdict) for verdict in ("applied", "duplicate", "late", "rejected")}
    return Books(received=len(verdicts), pending=len(verdicts) - taken, **of)


def values_of(state: SqlState, at_ms: int) -> list[float]:
    """The values of a few keys."""
    reading = state.tiles.read([Lookup(view.name, ["a", "a,a", None]) for view in VIEWS], at_ms)
    return [float(value) for column in sorted(reading.values) for value in reading.values[column]]


def everything(log: SqlLog, state: SqlState, at_ms: int) -> dict[str, object]:
    """All else that a reader can learn; ids only while they count, as an engine cannot tell the rest from unknown ones."""
    return {
        "position and time": state.position_and_time(),
        "books": state.books(log),
        "dead": state.dead_letters("taps"),
        "last": state.last_event_ms(),
        "for lake": applied_offsets(log, state),
        "outcomes": state.outcomes("dear", 0, 1_000),
        "ids": {name: until for name, until in state.seen("taps", [f"t{number}" for number in range(6)]).items() if until >= at_ms},
    }


@settings(max_examples=25)
@given(history=HISTORIES, limit=st.integers(1, 8))
@example(history=[Sent(0, 0, 0, 1.0), Sent(RETAINED_MS, 0, RETAINED_MS, 1.0)], limit=1)  # known in the last ms in which its id counts
@example(
    history=[Sent(0, 9, 0, 1.0), Sent(2 * HOUR_MS, 0, 0, 1.0), Sent(RETAINED_MS, 1, 0, 1.0), Sent(0, 0, 1, 1.0)], limit=1
)  # after ids expired
def test_every_event_goes_where_the_naive_rules_send_it_and_the_books_balance_at_every_commit(history: list[Sent], limit: int) -> None:
    entries, records = entries_of(history)
    verdicts = naive_verdicts(records, RETAINED_MS, TAPS.max_ahead_ms)
    with tempfile.TemporaryDirectory() as folder:
        log, state = open_log(Path(folder)), open_state(Path(folder))
        log.append(entries, now_ms=0)
        engine, taken = make_engine(log, state), 0
        while step := engine.step(limit):
            taken += step
            books = state.books(log)["taps"]
            assert books == naive_books(verdicts, taken)
            assert books.balanced
        assert taken == len(entries)
        assert applied_offsets(log, state) == [place + 1 for place, verdict in enumerate(verdicts) if verdict == "applied"]
        dead = {letter["log_offset"] - 1: letter["reason"] == "late" for letter in state.dead_letters("taps")}
        assert dead == {place: verdict == "late" for place, verdict in enumerate(verdicts) if verdict in ("late", "rejected")}
        state.close()
        log.close()


@settings(max_examples=10)
@given(history=HISTORIES, steps=st.lists(st.integers(1, 9), max_size=6))
def test_a_restart_anywhere_gives_the_same_state(history: list[Sent], steps: list[int]) -> None:
    entries, records = entries_of(history)
    with tempfile.TemporaryDirectory() as straight, tempfile.TemporaryDirectory() as broken:
        log, state = open_log(Path(straight)), open_state(Path(straight))
        log.append(entries, now_ms=0)
        make_engine(log, state).drain(1_000)
        want, want_values = everything(log, state, records[-1][0]), values_of(state, records[-1][0])
        state.close()
        log.close()
        for limit in [*steps, 1_000]:  # each time everything is closed and opened anew
            log, state = open_log(Path(broken)), open_state(Path(broken))
            if log.end().offset("taps") == 0:
                log.append(entries, now_ms=0)
            make_engine(log, state).step(limit)
            got, got_values = everything(log, state, records[-1][0]), values_of(state, records[-1][0])
            state.close()
            log.close()
        assert got == want
        assert got_values == pytest.approx(want_values, rel=1e-12, nan_ok=True)  # batches may show in the last bits of a variance


def test_the_naive_rules_are_right_where_they_are_plain() -> None:
    records: list[Record] = [
        (T0, "a", T0),
        (T0, "a", T0 - 5),  # known already, other payload or not
        (T0 + RETAINED_MS, "a", T0 + RETAINED_MS),  # its id still counts
        (T0 + RETAINED_MS + 1, "a", T0),  # a copy after that is late
        (T0 + RETAINED_MS + 1, "a", T0 + RETAINED_MS),  # and a new event may use the id again
        (T0 + RETAINED_MS + 1, "b", T0 + 2 * RETAINED_MS),  # from the future
        (T0 + RETAINED_MS + 1, "c", None),
        (T0 + RETAINED_MS + 1, "d", T0 + RETAINED_MS + 1 + 5 * MINUTE_MS),
    ]
    verdicts = ["applied", "duplicate", "duplicate", "late", "applied", "rejected", "rejected", "applied"]
    assert naive_verdicts(records, RETAINED_MS, 5 * MINUTE_MS) == verdicts
