"""Alerts over real HTTP to a receiver on loopback: grouped, at least once, past a failing or dead channel, and no secret anywhere."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.receiver import Receiver, receiving
from tidemill.clock import HOUR_MS
from tidemill.loop import Delivery, deliver
from tidemill.pages import Pages
from tidemill.settings import AlertSettings, ChannelSettings, Settings
from tidemill.stores import AlertMessages, AlertStore, Databases, Moment, open_loop
from tidemill.stores.alerts import Alert, AlertRecord, Severity, pause_ms

SECRET = "s3cr3t-t0ken"
PAGE = "http://127.0.0.1:8000/#alerts"
PAGES = Pages.abroad(Settings())


@dataclass
class Outbox:
    """Both stores, and a relay without patience: nothing waits for others unless a test says so."""

    alerts: AlertStore
    messages: AlertMessages

    def raise_alert(self, key: str, at_ms: int = 1_000, model: str = "late", severity: Severity = "critical") -> None:
        """Raise an alert of a kind of its own."""
        title, body = f"Errors rose {key}", "0.31 -> 0.38"
        assert self.alerts.raise_alert(Alert(f"{key}:x", model, severity, title, body, "http://127.0.0.1:8000/", at_ms))

    def deliver(self, urls: Sequence[SecretStr | ChannelSettings], wall_ms: int, gather: str = "0s") -> Delivery:
        """One round of the relay."""
        channels = tuple(ChannelSettings(url=url) if isinstance(url, SecretStr) else url for url in urls)
        return deliver(self.messages, AlertSettings(urls=channels, gather=gather), Moment(0, wall_ms), PAGES)

    def record(self) -> AlertRecord:
        """The only alert."""
        (record,) = self.alerts.recent()
        return record


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    loop = open_loop(Databases(tmp_path))
    return Outbox(AlertStore(loop), AlertMessages(loop))


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with receiving() as found:
        yield found


def url_of(receiver: Receiver, path: str = SECRET) -> SecretStr:
    return SecretStr(f"json://ana:{SECRET}@{receiver.url.removeprefix('http://')}/{path}")


def titles(receiver: Receiver) -> list[object]:
    """Of everything that was sent, taken or not."""
    return [one.body["title"] for one in receiver.received]


@pytest.fixture
def dead_url() -> SecretStr:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    return SecretStr(f"json://127.0.0.1:{port}/{SECRET}")


def test_a_person_gets_what_was_raised_once(outbox: Outbox, receiver: Receiver) -> None:
    outbox.raise_alert("a")
    assert outbox.deliver([url_of(receiver)], wall_ms=0) == Delivery(delivered=1)
    assert outbox.deliver([url_of(receiver)], wall_ms=10**9) == Delivery()
    (got,) = receiver.received
    assert (got.body["title"], got.body["message"]) == ("Errors rose a", "0.31 -> 0.38\nhttp://127.0.0.1:8000/")
    assert got.body["type"] == "failure"


def test_forty_warnings_are_one_message_that_names_them_all(outbox: Outbox, receiver: Receiver) -> None:
    for number in range(40):
        title = f"late: column_{number} has moved"
        alert = Alert(
            f"windows:late:3:column_{number}:9", "late", "warning", title, f"0.{number + 10}", "", at_ms=9, since_ms=0, harm="none"
        )
        outbox.alerts.raise_alert(alert)
        if number in (0, 20):
            assert outbox.deliver([url_of(receiver)], wall_ms=number, gather="10s") == Delivery(), "others may come"
    assert outbox.deliver([url_of(receiver)], wall_ms=9_999, gather="10s") == Delivery()
    assert outbox.deliver([url_of(receiver)], wall_ms=10_000, gather="10s") == Delivery(delivered=1)
    (got,) = receiver.received
    lines = str(got.body["message"]).splitlines()
    assert got.body["title"] == "late: 40 feature warnings"
    assert sorted(lines[:40]) == sorted(f"- column_{number} has moved; 0.{number + 10}; since 1970-01-01 00:00 UTC" for number in range(40))
    assert lines[40:] == ["Harm: none.", PAGE]


def test_what_comes_in_the_cooldown_comes_as_one_summary_and_its_end_is_told(outbox: Outbox, receiver: Receiver) -> None:
    def warn(column: str, at_ms: int) -> None:
        alert = Alert(f"windows:late:3:{column}:{at_ms}", "late", "warning", f"late: {column} has moved", "0.4", "", at_ms)
        outbox.alerts.raise_alert(replace(alert, condition=f"windows:late:3:{column}"))

    def round_at(wall_ms: int) -> list[object]:
        outbox.deliver([url_of(receiver)], wall_ms)
        found, receiver.received[:] = titles(receiver), []
        return found

    warn("wind", 0)
    assert round_at(0) == ["late: wind has moved"]
    for number in range(5):
        warn(f"c{number}", number)
        assert round_at(number * HOUR_MS) == []
    outbox.alerts.end("windows:late:3:wind", at_ms=HOUR_MS, why="quiet")
    outbox.alerts.end("windows:late:3:c0", at_ms=HOUR_MS, why="quiet")
    assert round_at(6 * HOUR_MS - 1) == ["Over: late: wind has moved"]
    assert round_at(6 * HOUR_MS) == ["late: 5 more feature warnings"]
    for number in range(1, 5):
        assert round_at(7 * HOUR_MS) == [], "some still go on"
        outbox.alerts.end(f"windows:late:3:c{number}", at_ms=HOUR_MS, why="quiet")
    assert round_at(7 * HOUR_MS) == ["Over: late: 5 feature warnings"]
    assert round_at(8 * HOUR_MS) == []


def test_a_graver_one_does_not_wait_for_the_cooldown(outbox: Outbox, receiver: Receiver) -> None:
    for key, severity in (("late:1", "warning"), ("late:2", "warning"), ("late:3", "critical"), ("late:4", "critical")):
        outbox.alerts.raise_alert(Alert(f"check:{key}", "late", severity, key, "b", "", at_ms=0))  # type: ignore[arg-type]  # literals
        outbox.deliver([url_of(receiver)], wall_ms=0)
    assert titles(receiver) == ["late:1", "late: 2 failed checks"]
    assert receiver.received[1].body["type"] == "failure"


def test_each_channel_gets_what_is_grave_enough_for_it(outbox: Outbox, receiver: Receiver) -> None:
    pager = ChannelSettings(url=url_of(receiver, "pager"), severity="critical")
    outbox.raise_alert("a", severity="warning")
    outbox.raise_alert("b", severity="critical")
    assert outbox.deliver([url_of(receiver, "chat"), pager], wall_ms=0) == Delivery(delivered=2)
    assert sorted((one.path, one.body["title"]) for one in receiver.received) == [
        ("/chat", "Errors rose a"),
        ("/chat", "Errors rose b"),
        ("/pager", "Errors rose b"),
    ]


def test_a_receiver_that_fails_first_gets_it_after_the_pause(outbox: Outbox, receiver: Receiver) -> None:
    receiver.answers = [503, 503]
    outbox.raise_alert("a")
    assert outbox.deliver([url_of(receiver)], wall_ms=0) == Delivery(failed=1)
    assert outbox.deliver([url_of(receiver)], wall_ms=pause_ms(1) - 1) == Delivery()
    assert len(receiver.received) == 1
    assert outbox.record().last_error.endswith(": HTTP 503")
    assert outbox.deliver([url_of(receiver)], wall_ms=pause_ms(1)) == Delivery(failed=1)
    assert outbox.deliver([url_of(receiver)], wall_ms=pause_ms(1) + pause_ms(2)) == Delivery(delivered=1)
    assert len(receiver.received) == 3


def test_a_dead_channel_does_not_keep_or_double_what_another_gets(outbox: Outbox, receiver: Receiver, dead_url: SecretStr) -> None:
    outbox.raise_alert("a")
    for wall_ms in (0, pause_ms(1)):
        assert outbox.deliver([dead_url, url_of(receiver)], wall_ms) == Delivery(failed=1)
    assert len(receiver.received) == 1
    assert (outbox.record().attempts, outbox.record().delivered_wall_ms) == (2, None)
    assert outbox.deliver([url_of(receiver)], wall_ms=10**9) == Delivery(delivered=1)
    assert len(receiver.received) == 1


def test_a_failing_channel_is_tried_once_a_call_and_the_rest_wait_without_a_pause(outbox: Outbox, receiver: Receiver) -> None:
    for number, key in enumerate("abc"):
        outbox.raise_alert(key, at_ms=number)
    receiver.answers = [503]
    assert outbox.deliver([url_of(receiver)], wall_ms=0) == Delivery(failed=3)
    assert len(receiver.received) == 1
    assert outbox.deliver([url_of(receiver)], wall_ms=1) == Delivery(delivered=2)
    assert titles(receiver)[1:] == ["Errors rose b", "Errors rose c"]
    assert outbox.deliver([url_of(receiver)], wall_ms=pause_ms(1)) == Delivery(delivered=1)


def test_a_call_sends_no_more_than_twenty(outbox: Outbox, receiver: Receiver) -> None:
    for number in range(21):
        outbox.raise_alert(f"k{number}", at_ms=number)
    assert outbox.deliver([url_of(receiver)], wall_ms=0) == Delivery(delivered=20)
    assert outbox.deliver([url_of(receiver)], wall_ms=0) == Delivery(delivered=1)
    assert titles(receiver) == [f"Errors rose k{number}" for number in range(21)]


def test_two_paths_of_one_server_are_two_channels(outbox: Outbox, receiver: Receiver) -> None:
    outbox.raise_alert("a")
    urls = [url_of(receiver, "one"), url_of(receiver, "two"), url_of(receiver, "two")]
    assert outbox.deliver(urls, wall_ms=0) == Delivery(delivered=1)
    assert (len(receiver.received), len(outbox.record().channels)) == (3, 3)


def test_no_secret_reaches_a_log_or_the_store(
    outbox: Outbox, receiver: Receiver, dead_url: SecretStr, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="apprise")
    caplog.set_level(logging.DEBUG, logger="urllib3")
    unreadable = [SecretStr(f"{SECRET}://x"), SecretStr(SECRET), SecretStr(f"mailto://{SECRET}"), SecretStr("")]
    outbox.raise_alert("a")
    receiver.answers = [503]
    for wall_ms in (0, pause_ms(1)):
        assert outbox.deliver([url_of(receiver), dead_url, *unreadable], wall_ms) == Delivery(failed=1)
    record = outbox.record()
    assert "cannot read this URL" in record.last_error
    assert "no answer" in record.last_error
    assert "not delivered message=1" in caplog.text
    assert SECRET not in caplog.text + record.last_error + " ".join(record.channels)


def test_without_a_channel_the_log_is_the_channel(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outbox.raise_alert("a")
    assert outbox.deliver([], wall_ms=0) == Delivery(delivered=1)
    assert "alert delivered message=1 severity=critical alerts=1 title=Errors rose a" in caplog.text


def test_others_may_log_through_apprise_again_afterwards(outbox: Outbox, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    outbox.raise_alert("a")
    assert outbox.deliver([url_of(receiver)], wall_ms=0) == Delivery(delivered=1)
    logging.getLogger("apprise").warning("somebody else's line")
    assert "somebody else's line" in caplog.text
