"""Alerts are raised once, wait out their pauses, and stay until every channel has them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.errors import NotFoundError
from tidemill.stores import Databases, open_loop
from tidemill.stores.alerts import LONGEST_PAUSE_MS, Alert, AlertStore, pause_ms


@pytest.fixture
def store(databases: Databases) -> AlertStore:
    return AlertStore(open_loop(databases))


def alert(key: str, at_ms: int = 1_000, model: str = "late") -> Alert:
    return Alert(key, model, "warning", "Errors rose", "0.31 -> 0.38", "http://127.0.0.1:8000/", at_ms)


def test_the_first_word_counts(store: AlertStore) -> None:
    assert store.raise_alert(alert("k", at_ms=1))
    assert not store.raise_alert(alert("k", at_ms=2))
    (record,) = store.pending(wall_ms=0)
    assert record.alert == alert("k", at_ms=1)
    assert (record.attempts, record.delivered_wall_ms, record.last_error, record.channels) == (0, None, "", frozenset())


def test_a_delivered_alert_is_not_pending_and_not_raised_again(store: AlertStore) -> None:
    store.raise_alert(alert("k"))
    store.mark_failed("k", "HTTP 503", wall_ms=0)
    store.mark_delivered("k", wall_ms=9_000)
    assert not store.raise_alert(alert("k"))
    assert store.pending(wall_ms=10**12) == []
    (record,) = store.recent()
    assert (record.attempts, record.delivered_wall_ms, record.last_error) == (1, 9_000, "")


def test_a_check_is_asked_for_until_one_was_started(store: AlertStore) -> None:
    wanted = [replace(alert(key, at_ms), explain="3") for key, at_ms in (("later", 20), ("sooner", 10))]
    for one in (*wanted, alert("without", at_ms=1)):
        store.raise_alert(one)
    assert [one.key for one in store.unexplained()] == ["sooner", "later"]
    assert [one.key for one in store.unexplained(limit=1)] == ["sooner"]
    assert [one.key for one in store.unexplained(since_ms=11)] == ["later"]
    store.mark_explaining("sooner", wall_ms=5)
    assert store.unexplained() == [wanted[0]]
    store.explained("sooner", "http://127.0.0.1:5000/report")
    assert store.get("sooner") == replace(wanted[1], link="http://127.0.0.1:5000/report")
    assert store.get("later").link == alert("later").link
    with pytest.raises(NotFoundError, match="nobody"):
        store.get("nobody")


def test_pauses_double_up_to_the_longest(store: AlertStore) -> None:
    store.raise_alert(alert("k"))
    wall_ms = 0
    for attempt in range(1, 12):
        store.mark_failed("k", "no answer", wall_ms)
        assert store.pending(wall_ms + pause_ms(attempt) - 1) == []
        wall_ms += pause_ms(attempt)
        (record,) = store.pending(wall_ms)
        assert (record.attempts, record.last_error) == (attempt, "no answer")
    assert pause_ms(11) == pause_ms(10_000) == LONGEST_PAUSE_MS


def test_channels_are_remembered_per_alert(store: AlertStore) -> None:
    for key in ("a", "b"):
        store.raise_alert(alert(key))
    store.mark_reached("a", "json#1", wall_ms=1)
    store.mark_reached("a", "json#1", wall_ms=2)
    store.mark_reached("a", "slack#2", wall_ms=2)
    assert {record.alert.key: record.channels for record in store.pending(0)} == {"a": {"json#1", "slack#2"}, "b": frozenset()}


def test_the_oldest_is_pending_first_and_the_newest_recent_first(store: AlertStore) -> None:
    for at_ms in (3, 1, 2):
        store.raise_alert(alert(f"k{at_ms}", at_ms))
    store.raise_alert(alert("other", at_ms=4, model="other"))
    assert [record.alert.key for record in store.pending(0, limit=2)] == ["k1", "k2"]
    assert [record.alert.key for record in store.recent("late")] == ["k3", "k2", "k1"]
    assert [record.alert.key for record in store.recent(limit=1)] == ["other"]
