"""Alerts over real HTTP to a receiver on loopback: at least once, a failing or dead channel, and no secret anywhere."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tidemill.loop import Delivery, deliver
from tidemill.stores import Databases, open_loop
from tidemill.stores.alerts import Alert, AlertStore, pause_ms

SECRET = "s3cr3t-t0ken"


@dataclass
class Receiver:
    """Keeps what it is sent; answers 503 while `failures` is above 0."""

    port: int = 0
    failures: int = 0
    asked: int = 0
    accepted: list[dict[str, Any]] = field(default_factory=list)

    def url(self, path: str = SECRET) -> SecretStr:
        return SecretStr(f"json://ana:{SECRET}@127.0.0.1:{self.port}/{path}")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kept.asked += 1
            failing, kept.failures = kept.failures > 0, max(0, kept.failures - 1)
            if not failing:
                kept.accepted.append(body)
            self.send_response(503 if failing else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name the base class gives
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> AlertStore:
    return AlertStore(open_loop(Databases(tmp_path)))


def alert(key: str, at_ms: int = 1_000, body: str = "0.31 -> 0.38") -> Alert:
    return Alert(key, "late", "critical", f"Errors rose {key}", body, "http://127.0.0.1:8000/", at_ms)


@pytest.fixture
def dead_url() -> SecretStr:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    return SecretStr(f"json://127.0.0.1:{port}/{SECRET}")


def test_a_person_gets_what_was_raised_once(store: AlertStore, receiver: Receiver) -> None:
    store.raise_alert(alert("a"))
    assert deliver(store, [receiver.url()], wall_ms=0) == Delivery(delivered=1)
    assert deliver(store, [receiver.url()], wall_ms=10**9) == Delivery()
    (got,) = receiver.accepted
    assert (got["title"], got["message"], got["type"]) == ("Errors rose a", "0.31 -> 0.38\nhttp://127.0.0.1:8000/", "failure")


def test_a_receiver_that_fails_first_gets_it_after_the_pause(store: AlertStore, receiver: Receiver) -> None:
    receiver.failures = 2
    store.raise_alert(alert("a"))
    assert deliver(store, [receiver.url()], wall_ms=0) == Delivery(failed=1)
    assert deliver(store, [receiver.url()], wall_ms=pause_ms(1) - 1) == Delivery()
    assert receiver.asked == 1
    (record,) = store.recent()
    assert record.last_error.endswith(": HTTP 503")
    assert deliver(store, [receiver.url()], wall_ms=pause_ms(1)) == Delivery(failed=1)
    assert deliver(store, [receiver.url()], wall_ms=pause_ms(1) + pause_ms(2)) == Delivery(delivered=1)
    assert (receiver.asked, len(receiver.accepted)) == (3, 1)


def test_a_dead_channel_does_not_keep_or_double_what_another_gets(store: AlertStore, receiver: Receiver, dead_url: SecretStr) -> None:
    store.raise_alert(alert("a"))
    for wall_ms in (0, pause_ms(1)):
        assert deliver(store, [dead_url, receiver.url()], wall_ms) == Delivery(failed=1)
    assert len(receiver.accepted) == 1
    (record,) = store.recent()
    assert (record.attempts, record.delivered_wall_ms) == (2, None)
    assert deliver(store, [receiver.url()], wall_ms=10**9) == Delivery(delivered=1)
    assert len(receiver.accepted) == 1


def test_a_failing_channel_is_tried_once_a_call_and_the_rest_wait_without_a_pause(store: AlertStore, receiver: Receiver) -> None:
    for key in ("a", "b", "c"):
        store.raise_alert(alert(key))
    receiver.failures = 1
    assert deliver(store, [receiver.url()], wall_ms=0) == Delivery(failed=3)
    assert receiver.asked == 1
    assert deliver(store, [receiver.url()], wall_ms=1) == Delivery(delivered=2)
    assert [got["title"] for got in receiver.accepted] == ["Errors rose b", "Errors rose c"]
    assert deliver(store, [receiver.url()], wall_ms=pause_ms(1)) == Delivery(delivered=1)


def test_a_call_sends_no_more_than_its_limit(store: AlertStore, receiver: Receiver) -> None:
    for number in range(5):
        store.raise_alert(alert(f"k{number}", at_ms=number))
    assert deliver(store, [receiver.url()], wall_ms=0, limit=2) == Delivery(delivered=2)
    assert [got["title"] for got in receiver.accepted] == ["Errors rose k0", "Errors rose k1"]


def test_two_paths_of_one_server_are_two_channels(store: AlertStore, receiver: Receiver) -> None:
    store.raise_alert(alert("a"))
    assert deliver(store, [receiver.url("one"), receiver.url("two"), receiver.url("two")], wall_ms=0) == Delivery(delivered=1)
    assert len(receiver.accepted) == 3
    (record,) = store.recent()
    assert len(record.channels) == 3


def test_no_secret_reaches_a_log_or_the_store(
    store: AlertStore, receiver: Receiver, dead_url: SecretStr, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="apprise")
    caplog.set_level(logging.DEBUG, logger="urllib3")
    unreadable = [SecretStr(f"{SECRET}://x"), SecretStr(SECRET), SecretStr(f"mailto://{SECRET}"), SecretStr("")]
    store.raise_alert(alert("a"))
    receiver.failures = 1
    urls = [receiver.url(), dead_url, *unreadable]
    for wall_ms in (0, pause_ms(1)):
        assert deliver(store, urls, wall_ms) == Delivery(failed=1)
    (record,) = store.recent()
    assert "cannot read this URL" in record.last_error
    assert "no answer" in record.last_error
    assert "not delivered key=a" in caplog.text
    assert SECRET not in caplog.text + record.last_error + " ".join(record.channels)


def test_without_a_channel_the_log_is_the_channel(store: AlertStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store.raise_alert(alert("a"))
    assert deliver(store, [], wall_ms=0) == Delivery(delivered=1)
    assert "alert delivered key=a severity=critical title=Errors rose a" in caplog.text


def test_others_may_log_through_apprise_again_afterwards(store: AlertStore, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    store.raise_alert(alert("a", body=""))
    assert deliver(store, [receiver.url()], wall_ms=0) == Delivery(delivered=1)
    logging.getLogger("apprise").warning("somebody else's line")
    assert "somebody else's line" in caplog.text
