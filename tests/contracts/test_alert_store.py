"""Alerts are raised once, go into one message each, wait out their pauses, and end with their condition; on both databases."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from sqlalchemy import Engine

from tidemill.errors import ConflictError, NotFoundError
from tidemill.stores import Alert, AlertMessages, AlertSilences, AlertStore, Conditions, Databases, MonitorStateStore, open_loop
from tidemill.stores.alert_plans import Plan, Planned
from tidemill.stores.alert_records import Moment
from tidemill.stores.alerts import LONGEST_PAUSE_MS, pause_ms

NOW = Moment(stream_ms=900, wall_ms=5_000)


@dataclass
class Stores:
    """All that is about alerts, on one engine."""

    engine: Engine

    def __post_init__(self) -> None:
        self.alerts, self.messages, self.silences = AlertStore(self.engine), AlertMessages(self.engine), AlertSilences(self.engine)

    def tell(self, *keys: str, awaits_end: bool = False) -> None:
        """Put alerts into a message."""
        self.messages.keep(Plan(messages=(Planned("late", "check", "warning", "alerts", keys, awaits_end),)), NOW)

    def waiting(self) -> list[str]:
        """The keys of what is in no message."""
        return [one.key for one in self.messages.outlook(NOW.wall_ms).waiting]


@pytest.fixture
def stores(databases: Databases) -> Stores:
    return Stores(open_loop(databases))


def alert(key: str, at_ms: int = 1_000, model: str = "late", condition: str = "") -> Alert:
    return Alert(key, model, "warning", "Errors rose", "0.31 -> 0.38", "http://127.0.0.1:8000/", at_ms, condition=condition)


def test_the_first_word_counts(stores: Stores) -> None:
    full = replace(alert("check:k"), explain="3", since_ms=12, harm="0.31 to 0.38", condition="check:late")
    assert stores.alerts.raise_alert(full)
    assert not stores.alerts.raise_alert(alert("check:k", at_ms=2))
    (record,) = stores.alerts.recent()
    assert record.alert == full
    assert (record.attempts, record.delivered_wall_ms, record.last_error, record.channels) == (0, None, "", frozenset())
    assert stores.waiting() == ["check:k"]


def test_what_was_told_is_not_told_again(stores: Stores) -> None:
    stores.alerts.raise_alert(alert("check:k"))
    stores.tell("check:k")
    assert stores.waiting() == []
    (message,) = stores.messages.pending(NOW.wall_ms)
    assert [record.alert.key for record in message.alerts] == ["check:k"]
    stores.messages.mark_failed(message.number, "HTTP 503", wall_ms=0)
    stores.messages.mark_delivered(message.number, wall_ms=9_000)
    assert not stores.alerts.raise_alert(alert("check:k"))
    assert stores.messages.pending(wall_ms=10**12) == []
    (record,) = stores.alerts.recent()
    assert (record.attempts, record.delivered_wall_ms, record.last_error, record.delivery) == (1, 9_000, "", "unsent")
    assert stores.alerts.undelivered(10) == []


def test_of_two_processes_that_tell_it_one_does(stores: Stores) -> None:
    for key in ("check:a", "check:b"):
        stores.alerts.raise_alert(alert(key, condition="check:late"))
    stores.tell("check:a", awaits_end=True)
    with pytest.raises(ConflictError, match="another process has told an alert of late, check"):
        stores.tell("check:b", "check:a")
    assert stores.waiting() == ["check:b"]
    stores.alerts.end("check:late", at_ms=950, why="quiet")
    over = stores.messages.outlook(NOW.wall_ms).over
    stores.messages.keep(Plan(ends=over), NOW)
    with pytest.raises(ConflictError, match="another process has told the end of message 1"):
        stores.messages.keep(Plan(ends=over), NOW)
    assert stores.messages.outlook(NOW.wall_ms).over == ()


def test_the_end_of_a_message_comes_when_all_of_it_is_over_and_its_beginning_is_delivered(stores: Stores) -> None:
    for name in ("a", "b"):
        stores.alerts.raise_alert(alert(f"check:{name}", condition=f"check:{name}"))
    stores.tell("check:a", "check:b", awaits_end=True)
    assert stores.alerts.end("check:a", at_ms=950, why="quiet") == 1
    assert stores.messages.outlook(NOW.wall_ms).over == ()
    assert stores.alerts.end("check:b", at_ms=960, why="quiet") == 1
    stores.messages.keep(Plan(ends=stores.messages.outlook(NOW.wall_ms).over), NOW)
    assert [one.about for one in stores.messages.pending(NOW.wall_ms)] == ["alerts"]
    stores.messages.mark_delivered(1, NOW.wall_ms)
    (end,) = stores.messages.pending(NOW.wall_ms)
    assert (end.about, [(one.alert.key, one.ended_at_ms) for one in end.alerts]) == ("end", [("check:a", 950), ("check:b", 960)])


def test_a_condition_ends_once_and_an_alert_without_one_never_does(stores: Stores) -> None:
    stores.alerts.raise_alert(alert("check:a"))
    stores.alerts.raise_alert(alert("check:b", condition="check:late"))
    assert stores.alerts.is_open("check:late")
    assert [stores.alerts.end("check:late", at_ms, "quiet") for at_ms in (5, 6)] == [1, 0]
    assert not stores.alerts.is_open("check:late")
    assert {one.alert.key: (one.ended_at_ms, one.ended_why) for one in stores.alerts.recent()} == {
        "check:a": (None, ""),
        "check:b": (5, "quiet"),
    }
    with pytest.raises(ValueError, match="say which condition"):
        stores.alerts.end("", 7, "quiet")


def test_a_monitor_ends_what_does_not_stand_with_the_step_that_saw_it(stores: Stores) -> None:
    monitors = MonitorStateStore(stores.engine)
    alerts = [alert(f"windows:late:1:{name}:9", condition=f"windows:late:1:{name}") for name in "ab"]
    others = [alert("windows:other:1:a:9", model="other", condition="windows:other:1:a"), alert("check:late:9", condition="check:late")]
    monitors.save("w", 0, 1, {}, alerts=[*alerts, *others])
    standing = Conditions("late", "windows", frozenset({"windows:late:1:b"}), 20, "quiet")
    with pytest.raises(ConflictError):
        monitors.save("w", 0, 2, {}, conditions=[standing])
    assert all(one.ended_at_ms is None for one in stores.alerts.recent()), "a step that fails ends nothing"
    monitors.save("w", 1, 2, {}, conditions=[standing])
    assert [one.alert.key for one in stores.alerts.recent() if one.ended_at_ms == 20] == ["windows:late:1:a:9"]
    monitors.save(
        "w", 2, 3, {}, alerts=[alert("windows:late:1:c:30", condition="windows:late:1:c")], conditions=[replace(standing, at_ms=31)]
    )
    assert stores.alerts.recent("late")[0].ended_at_ms is None or not stores.alerts.is_open("windows:late:1:c"), "it came and went"


def test_an_acknowledgement_is_kept_with_who_and_when(stores: Stores) -> None:
    for key in ("check:a", "check:b"):
        stores.alerts.raise_alert(alert(key, condition=key))
    with pytest.raises(NotFoundError, match="no alert 'check:c'"):
        stores.alerts.acknowledge(["check:a", "check:c"], "ann", 7)
    assert stores.alerts.acknowledge(["check:a"], "ann", 7) == 1
    assert stores.alerts.acknowledge(["check:a", "check:b"], "bob", 8) == 1
    assert {one.alert.key: (one.acked_by, one.acked_wall_ms) for one in stores.alerts.recent()} == {
        "check:a": ("ann", 7),
        "check:b": ("bob", 8),
    }
    assert stores.messages.outlook(0).acknowledged == {"check:a": "check:a", "check:b": "check:b"}
    stores.alerts.end("check:a", 9, "quiet")
    assert stores.messages.outlook(0).acknowledged == {"check:b": "check:b"}


def test_a_silence_stands_until_its_time_or_until_it_is_ended(stores: Stores) -> None:
    for kind, until_ms in (("", 100), ("windows", 50)):
        stores.silences.begin("late", kind, "ann", "a migration", from_wall_ms=0, until_wall_ms=until_ms)
    first, second = stores.silences.standing(49)
    assert (first.covers("late", "check"), second.covers("late", "check"), first.covers("other", "check")) == (True, False, False)
    assert [one.number for one in stores.silences.standing(50)] == [1]
    stores.silences.end(1, "bob", 60)
    assert stores.silences.standing(60) == ()
    for number in (1, 2, 3):
        with pytest.raises(NotFoundError, match="no standing silence"):
            stores.silences.end(number, "bob", 60)
    with pytest.raises(ValueError, match="would end before it begins"):
        stores.silences.begin("late", "", "ann", "", from_wall_ms=5, until_wall_ms=5)


def test_what_is_silenced_waits_only_while_its_condition_goes_on(stores: Stores) -> None:
    number = stores.silences.begin("late", "", "ann", "a migration", from_wall_ms=0, until_wall_ms=100)
    for key, condition in (("check:a", "check:a"), ("check:b", "")):
        stores.alerts.raise_alert(alert(key, condition=condition))
    stores.messages.keep(Plan(silenced={"check:a": number, "check:b": number}), NOW)
    assert stores.waiting() == ["check:a"]
    stores.alerts.end("check:a", 5, "quiet")
    assert stores.waiting() == []
    assert {one.delivery for one in stores.alerts.recent()} == {"silenced"}


def test_what_is_held_or_covered_says_so(stores: Stores) -> None:
    for key in ("check:a", "check:b", "check:c"):
        stores.alerts.raise_alert(alert(key))
    stores.messages.keep(Plan(noticed=("check:a", "check:c"), held={"check:a": 700}, covered={"check:b": "check:a"}), NOW)
    assert [(one.alert.key, one.delivery, one.held_until_ms, one.covered_by) for one in stores.alerts.recent()] == [
        ("check:a", "held", 700, None),
        ("check:b", "acknowledged", None, "check:a"),
        ("check:c", "waiting", None, None),
    ]
    assert stores.waiting() == ["check:c", "check:a"], "what is held comes last"
    assert {one.noticed for one in stores.messages.outlook(0).waiting} == {NOW}
    assert [one.alert.key for one in stores.alerts.undelivered(10)] == ["check:a", "check:c"]


def test_a_check_is_asked_for_until_one_was_started(stores: Stores) -> None:
    wanted = [replace(alert(key, at_ms), explain="3") for key, at_ms in (("later", 20), ("sooner", 10))]
    for one in (*wanted, alert("without", at_ms=1)):
        stores.alerts.raise_alert(one)
    assert [one.key for one in stores.alerts.unexplained()] == ["sooner", "later"]
    assert [one.key for one in stores.alerts.unexplained(limit=1)] == ["sooner"]
    assert [one.key for one in stores.alerts.unexplained(since_ms=11)] == ["later"]
    stores.alerts.mark_explaining("sooner", wall_ms=5)
    assert stores.alerts.unexplained() == [wanted[0]]
    stores.alerts.explained("sooner", "http://127.0.0.1:5000/report")
    assert stores.alerts.get("sooner") == replace(wanted[1], link="http://127.0.0.1:5000/report")
    assert stores.alerts.get("later").link == alert("later").link
    with pytest.raises(NotFoundError, match="nobody"):
        stores.alerts.get("nobody")


def test_pauses_double_up_to_the_longest(stores: Stores) -> None:
    stores.alerts.raise_alert(alert("check:k"))
    stores.tell("check:k")
    wall_ms = 0
    for attempt in range(1, 12):
        stores.messages.mark_failed(1, "no answer", wall_ms)
        assert stores.messages.pending(wall_ms + pause_ms(attempt) - 1) == []
        wall_ms += pause_ms(attempt)
        (message,) = stores.messages.pending(wall_ms)
        assert message.attempts == attempt
    assert pause_ms(11) == pause_ms(10_000) == LONGEST_PAUSE_MS
    assert stores.alerts.recent()[0].last_error == "no answer"


def test_channels_are_remembered_per_message(stores: Stores) -> None:
    for key in ("check:a", "check:b"):
        stores.alerts.raise_alert(alert(key))
        stores.tell(key)
    stores.messages.mark_reached(1, "json#1", wall_ms=1)
    stores.messages.mark_reached(1, "json#1", wall_ms=2)
    stores.messages.mark_reached(1, "slack#2", wall_ms=2)
    assert {one.number: one.channels for one in stores.messages.pending(0)} == {1: {"json#1", "slack#2"}, 2: frozenset()}
    assert {one.alert.key: one.channels for one in stores.alerts.recent()} == {"check:a": {"json#1", "slack#2"}, "check:b": frozenset()}


def test_the_oldest_message_is_pending_first_and_the_newest_alert_recent_first(stores: Stores) -> None:
    for at_ms in (3, 1, 2):
        stores.alerts.raise_alert(alert(f"check:k{at_ms}", at_ms))
        stores.tell(f"check:k{at_ms}")
    stores.alerts.raise_alert(alert("check:other", at_ms=4, model="other"))
    assert [one.number for one in stores.messages.pending(0, limit=2)] == [1, 2]
    assert [record.alert.key for record in stores.alerts.recent("late")] == ["check:k3", "check:k2", "check:k1"]
    assert [record.alert.key for record in stores.alerts.recent(limit=1)] == ["check:other"]
