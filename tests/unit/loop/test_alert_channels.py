"""Channels reached for real on loopback: letters over SMTP, JSON and forms over HTTP. What goes to fixed hosts cannot be tried here."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from tests.mailbox import Mailbox, receiving_mail
from tests.receiver import Receiver, receiving
from tidemill.loop import AlertText, open_channels
from tidemill.loop.channels import AppriseChannel, wants
from tidemill.settings import ChannelSettings

TEXT = AlertText("late: wind has moved", "0.41 against 0.2\nHarm: nothing is known yet.", "warning")
END = AlertText("Over: late: wind has moved", "no longer high", "warning", is_end=True)
SECRET = "s3cr3t-t0ken"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with receiving_mail() as found:
        yield found


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with receiving() as found:
        yield found


def channel(url: str) -> AppriseChannel:
    (opened,) = open_channels([ChannelSettings(url=SecretStr(url))])
    return opened


def test_a_letter_arrives_as_it_was_written(mailbox: Mailbox) -> None:
    url = f"mailto://127.0.0.1:{mailbox.port}?from=tidemill@example.org&to=ann@example.org,bob@example.org&mode=insecure"
    assert channel(url).send(TEXT) == ""
    assert channel(url).send(END) == ""
    assert sorted(mailbox.recipients) == ["ann@example.org"] * 2 + ["bob@example.org"] * 2
    assert {letter["Subject"] for letter in mailbox.letters} == {TEXT.title, END.title}
    letter = next(letter for letter in mailbox.letters if letter["Subject"] == TEXT.title)
    body = letter.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n").strip() == TEXT.body, "each line stays a line"


def test_a_letter_that_is_refused_is_said(mailbox: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mailbox.refusals = ["451 come again later"]
    opened = channel(f"mailto://ann:{SECRET}@127.0.0.1:{mailbox.port}?from=tidemill@example.org&to=ann@example.org&mode=insecure")
    assert opened.send(TEXT) == "no answer, or refused"
    assert SECRET not in caplog.text + opened.name


@pytest.mark.parametrize(("text", "kind"), [(TEXT, "warning"), (END, "success")])
def test_a_webhook_gets_json(receiver: Receiver, text: AlertText, kind: str) -> None:
    opened = channel(f"{receiver.url.replace('http', 'json')}/hook")
    assert opened.send(text) == ""
    (got,) = receiver.received
    assert (got.path, got.body["title"], got.body["message"], got.body["type"]) == ("/hook", text.title, text.body, kind)


def test_a_form_and_a_chat_of_ones_own_are_reached_the_same_way(receiver: Receiver) -> None:
    """Mattermost speaks what Slack does, and may stand anywhere."""
    host = receiver.url.removeprefix("http://")
    assert channel(f"form://{host}/form").send(TEXT) == ""
    assert channel(f"mmost://{host}/3ccdd113474722377935511fc85d3dd4").send(TEXT) == ""
    form, chat = receiver.received
    assert "late%3A+wind+has+moved" in form.text
    assert (chat.path, TEXT.body.splitlines()[0] in chat.text) == ("/hooks/3ccdd113474722377935511fc85d3dd4", True)


def test_what_is_graver_goes_wherever_less_grave_goes() -> None:
    url = SecretStr("json://127.0.0.1/")
    told = {
        one.severity: one for one in open_channels([ChannelSettings(url=url, severity=least) for least in ("info", "warning", "critical")])
    }
    assert [least for least, one in told.items() if wants(one, "warning")] == ["info", "warning"]
    assert len({one.name for one in told.values()}) == 3, "one address may stand twice"
