"""A mailbox on loopback: a real SMTP server that keeps what it is sent."""

from __future__ import annotations

import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.services import free_port


@dataclass
class Mailbox:
    """What came, and what is answered: 250, or the lines of `refusals` first, one a letter."""

    port: int = 0
    refusals: list[str] = field(default_factory=list)
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        """Keep a letter, or refuse it."""
        if self.refusals:
            return self.refusals.pop(0)
        self.letters.append(message_from_bytes(envelope.content, policy=email.policy.default))
        self.recipients += envelope.rcpt_tos
        return "250 OK"


@contextmanager
def receiving_mail() -> Iterator[Mailbox]:
    """A mailbox, up until the block ends."""
    mailbox = Mailbox(free_port())
    server = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, ready_timeout=120)
    server.start()
    try:
        yield mailbox
    finally:
        server.stop()
