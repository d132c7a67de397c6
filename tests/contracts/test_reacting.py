"""Reactions are carried out at least once each, a few a round, and nobody who refuses or hangs holds up the others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tidemill.clock import DAY_MS, SECOND_MS
from tidemill.errors import ConflictError, NotReadyError, RefusedError
from tidemill.loop import CarriedOut, carry_out
from tidemill.stores import AlertStore, Databases, Match, ReactionStore, open_loop
from tidemill.stores.reactions import MOST_REFUSALS, Waiting
from tidemill.streams import Position

BEGIN = Position({})
T0 = 10 * DAY_MS
WEEK_MS = 7 * DAY_MS


def at(offset: int) -> Position:
    return Position({"taps": {"0": offset}})


def match(number: int, reaction: str = "dear", *, key: str = "", until_ms: int = 0) -> Match:
    return Match(f"m{reaction}{number}", reaction, f"t{number}", key or f"k{number}", T0 + number, until_ms, f'{{"n":{number}}}')


@pytest.fixture
def store(databases: Databases) -> ReactionStore:
    store = ReactionStore(open_loop(databases))
    store.begin(["dear", "cheap"], BEGIN)
    return store


def sender(fails: Callable[[Waiting], Exception | None], sent: list[str]) -> Callable[[Waiting], None]:
    def send(waiting: Waiting) -> None:
        error = fails(waiting)
        if error is not None:
            raise error
        sent.append(waiting.event_id)

    return send


def test_a_step_is_taken_once_with_what_it_found(store: ReactionStore) -> None:
    store.take(BEGIN, at(5), [match(1), match(2, key="k"), match(1, "cheap")])
    with pytest.raises(ConflictError, match=r"do not stand at \{\} any more"):
        store.take(BEGIN, at(6), [match(3)])
    assert store.cursor() == at(5)
    store.take(at(5), at(9), [match(2), match(4, key="k", until_ms=70), match(5, key="k", until_ms=60)])
    assert {name: one.matches for name, one in store.standing().items()} == {"dear": 4, "cheap": 1}, "an event is followed once"
    assert store.held("dear", ["k", "k1", "other"]) == {"k": 70, "k1": 0}
    assert store.held("dear", [f"k{number}" for number in range(1_200)]) == {"k1": 0}


def test_one_declared_later_begins_where_it_is_and_the_others_go_on(store: ReactionStore) -> None:
    store.take(BEGIN, at(5), [])
    store.begin(["dear", "new"], at(8))
    assert store.cursor() == at(5)
    assert store.since() == {"dear": BEGIN, "cheap": BEGIN, "new": at(8)}
    store.leave()
    store.leave()
    assert store.cursor() is None
    store.begin(["dear"], at(11))
    assert store.cursor() == at(11)


def test_a_burst_goes_out_a_few_a_round_oldest_first(store: ReactionStore) -> None:
    store.take(BEGIN, at(9), [match(number) for number in (3, 1, 5, 2, 4)])
    sent: list[str] = []
    rounds = [carry_out(store, "dear", sender(lambda _: None, sent), 1, limit=2) for _ in range(4)]
    assert rounds == [CarriedOut(sent=2), CarriedOut(sent=2), CarriedOut(sent=1), CarriedOut()]
    assert sent == ["t1", "t2", "t3", "t4", "t5"]
    assert (store.standing()["dear"].sent, store.standing()["dear"].waiting) == (5, 0)


def test_a_receiver_that_is_down_is_left_alone_longer_each_time_and_loses_nothing(store: ReactionStore) -> None:
    store.take(BEGIN, at(9), [match(1), match(2), match(1, "cheap")])
    tried: list[str] = []
    sent: list[str] = []

    def is_down(waiting: Waiting) -> Exception:
        tried.append(waiting.event_id)
        return NotReadyError("HTTP 503")

    for second in range(40):
        carry_out(store, "dear", sender(is_down, sent), second * SECOND_MS)
    assert tried == ["t1", "t2", "t1", "t2"], "at 0, 5, 15 and 35 s, each after the others"
    assert (sent, store.standing()["dear"].last_error) == ([], "HTTP 503")
    assert carry_out(store, "cheap", sender(lambda _: None, sent), SECOND_MS) == CarriedOut(sent=1)
    assert carry_out(store, "dear", sender(lambda _: None, sent), 1_000 * SECOND_MS) == CarriedOut(sent=2)
    standing = store.standing()["dear"]
    assert (standing.sent, standing.waiting, standing.last_error) == (2, 0, "")


def test_one_that_fails_for_ever_lets_the_others_pass(store: ReactionStore) -> None:
    store.take(BEGIN, at(30), [match(number) for number in range(1, 9)])
    sent: list[str] = []
    send = sender(lambda waiting: NotReadyError("HTTP 500") if waiting.event_id == "t1" else None, sent)
    for second in range(0, 3_600, 2):
        carry_out(store, "dear", send, second * SECOND_MS, limit=3)
    assert sent == [f"t{number}" for number in range(2, 9)]
    assert store.standing()["dear"].waiting == 1


def test_what_is_refused_again_and_again_is_given_up_with_one_alert_a_day(store: ReactionStore, databases: Databases) -> None:
    alerts = AlertStore(open_loop(databases))
    store.take(BEGIN, at(9), [match(1), match(2), match(3)])
    sent: list[str] = []
    send = sender(lambda waiting: None if waiting.event_id == "t2" else RefusedError("HTTP 404"), sent)
    assert carry_out(store, "dear", send, 0) == CarriedOut(sent=1, failed=2)
    assert carry_out(store, "dear", send, 1) == CarriedOut(), "each waits"
    rounds = [carry_out(store, "dear", send, minute * 60 * SECOND_MS) for minute in range(1, 60)]
    assert sum(one.given_up for one in rounds) == 2
    assert sum(one.failed for one in rounds) == 2 * (MOST_REFUSALS - 2)
    standing = store.standing()["dear"]
    assert (standing.sent, standing.waiting, standing.given_up, standing.last_error) == (1, 0, 2, "HTTP 404")
    (alert,) = alerts.recent("dear")
    assert (alert.alert.severity, alert.alert.title) == ("warning", "reaction dear was refused")
    assert "5 times: HTTP 404" in alert.alert.body


def test_old_ones_are_dropped_once_they_hold_no_key(store: ReactionStore) -> None:
    store.take(BEGIN, at(9), [match(1, until_ms=T0), match(2, until_ms=T0 + DAY_MS), match(3, until_ms=T0)])
    carry_out(store, "dear", sender(lambda _: None, []), 50, limit=2)
    assert store.forget(T0, 50 + WEEK_MS) == 0
    assert store.forget(T0, 51 + WEEK_MS) == 1
    assert store.forget(T0 + DAY_MS, 51 + WEEK_MS) == 1
    standing = store.standing()["dear"]
    assert (standing.matches, standing.sent, standing.waiting) == (3, 2, 1)
