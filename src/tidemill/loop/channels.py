"""Channels of apprise. A channel's URL is a secret: it never reaches a log or the store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from tidemill.loop.alert_texts import AlertText
from tidemill.loop.quiet import quiet
from tidemill.settings import ChannelSettings
from tidemill.stores.alert_records import SEVERITIES, Severity

if TYPE_CHECKING:  # every command would pay for it, and few have a channel
    from apprise.plugins import NotifyBase


class Channel(Protocol):
    """One place to send to."""

    @property
    def name(self) -> str:
        """What it is called in logs and in the store; no secret."""
        ...

    @property
    def severity(self) -> Severity:
        """The least that goes there."""
        ...

    def send(self, text: AlertText) -> str:
        """Send once; what went wrong, without any secret, or empty."""
        ...


@dataclass(frozen=True)
class AppriseChannel:
    """A channel that apprise knows how to reach; `plugin` is None for a URL that it cannot read."""

    name: str
    severity: Severity
    plugin: NotifyBase | None

    def send(self, text: AlertText) -> str:
        """Send once; what went wrong, without anything the URL holds, or empty."""
        if self.plugin is None:
            return "apprise cannot read this URL; see TIDEMILL_ALERTS__URLS"
        from apprise import NotifyFormat, NotifyType

        types = {"info": NotifyType.INFO, "warning": NotifyType.WARNING, "critical": NotifyType.FAILURE}
        kind = NotifyType.SUCCESS if text.is_end else types[text.severity]
        with quiet() as seen:
            try:
                done = self.plugin.notify(body=text.body or text.title, title=text.title, notify_type=kind, body_format=NotifyFormat.TEXT)
            except Exception as error:  # plugins of a hundred services: whatever one raises, the message stays pending
                return type(error).__name__
        if done:
            return ""
        status = re.search(r"error=(\d{3})\b", " ".join(seen))
        return f"HTTP {status.group(1)}" if status else "no answer, or refused"


def open_channels(settings: Sequence[ChannelSettings]) -> list[AppriseChannel]:
    """The channels of settings, each named after its schema and 16 bits of a digest.

    That is enough to tell a few apart, and too few to guess a password by.
    """
    if not settings:
        return []
    from apprise import Apprise

    found: list[AppriseChannel] = []
    for one in settings:
        text = one.url.get_secret_value()
        with quiet():
            plugin = Apprise.instantiate(text)
        # What stands before :// is a schema only if apprise could read the rest.
        schema = "url" if plugin is None else text.partition("://")[0]
        name = f"{schema}#{sha256(text.encode()).hexdigest()[:4]}"
        same = sum(channel.name.partition("~")[0] == name for channel in found)
        found.append(AppriseChannel(f"{name}~{same}" if same else name, one.severity, plugin))
    return found


def wants(channel: Channel, severity: Severity) -> bool:
    """Whether something so grave goes to a channel."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(channel.severity)
