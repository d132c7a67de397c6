"""The relay emits at least once, and a dead orchestrator delays but loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.loop import Relayed, relay
from tidemill.stores import Databases, open_loop
from tidemill.stores.decisions import Decision, DecisionStore, OutboxEvent


@pytest.fixture
def store(tmp_path: Path) -> DecisionStore:
    store = DecisionStore(open_loop(Databases(tmp_path)))
    for name in ("a", "b"):
        store.request(Decision(name, "late", "error", name, "errors rose", requested_at_ms=1, requested_wall_ms=1))
    return store


def test_events_go_out_until_claimed(store: DecisionStore) -> None:
    sent: list[OutboxEvent] = []
    assert relay(store, sent.append, wall_ms=1_000, retry_after_ms=500) == Relayed(emitted=2, failed=0)
    assert relay(store, sent.append, wall_ms=1_400, retry_after_ms=500) == Relayed(emitted=0, failed=0)
    store.claim("a", "run", wall_ms=1_450)
    assert relay(store, sent.append, wall_ms=1_500, retry_after_ms=500) == Relayed(emitted=1, failed=0)
    assert [event.decision_id for event in sent] == ["a", "b", "b"]


def test_what_nobody_takes_up_is_asked_for_ever_less_often(store: DecisionStore) -> None:
    assert store.claim("b", "run", wall_ms=0)
    sent: list[int] = []
    for now_s in range(400):
        relay(store, lambda _, now_s=now_s: sent.append(now_s), wall_ms=now_s * 1_000, retry_after_ms=10_000)  # type: ignore[misc]  # its default
    assert sent == [0, 10, 30, 70, 150, 230, 310, 390]


def test_what_is_on_its_way_is_not_asked_for_again(store: DecisionStore) -> None:
    assert store.claim("b", "run", wall_ms=0)
    sent: list[int] = []
    asked: list[int] = []

    def is_awaited(_: OutboxEvent) -> bool:
        asked.append(now_s)
        return now_s < 55

    for now_s in range(100):
        relay(store, lambda _, at=now_s: sent.append(at), now_s * 1_000, retry_after_ms=10_000, is_awaited=is_awaited)  # type: ignore[misc]  # its default
    assert (sent, asked) == ([0, 60, 80], [10, 20, 30, 40, 50, 60, 80])


def test_a_failing_emit_stays_due_and_does_not_hold_up_the_next(store: DecisionStore) -> None:
    sent: list[str] = []

    def fails_for_a(event: OutboxEvent) -> None:
        if event.decision_id == "a" and not down_is_over:
            raise ConnectionError("refused")
        sent.append(event.decision_id)

    down_is_over = False
    assert relay(store, fails_for_a, wall_ms=1_000) == Relayed(emitted=1, failed=1)
    down_is_over = True
    assert relay(store, fails_for_a, wall_ms=1_001) == Relayed(emitted=1, failed=0)
    assert sent == ["b", "a"]


def test_where_nobody_knows_what_is_on_its_way_it_stays_due(store: DecisionStore) -> None:
    def unknown(event: OutboxEvent) -> bool:
        raise ConnectionError("refused")

    sent: list[OutboxEvent] = []
    assert relay(store, sent.append, wall_ms=1_000, retry_after_ms=500, is_awaited=unknown) == Relayed(emitted=2, failed=0)
    assert relay(store, sent.append, wall_ms=2_000, retry_after_ms=500, is_awaited=unknown) == Relayed(emitted=0, failed=2)
    assert relay(store, sent.append, wall_ms=2_001, retry_after_ms=500) == Relayed(emitted=2, failed=0)
