"""Deliver alerts to people through apprise. A channel's URL is a secret: it never reaches a log or the store."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from apprise import Apprise, NotifyType
from apprise.plugins import NotifyBase
from pydantic import SecretStr

from tidemill.loop.quiet import quiet
from tidemill.stores.alerts import Alert, AlertRecord, AlertStore

logger = logging.getLogger(__name__)

_TYPES = {"info": NotifyType.INFO, "warning": NotifyType.WARNING, "critical": NotifyType.FAILURE}


@dataclass(frozen=True)
class Delivery:
    """How one round went. A failed alert stays pending."""

    delivered: int = 0
    failed: int = 0


@dataclass(frozen=True)
class _Channel:
    """One place to send to; `plugin` is None for a URL that apprise cannot read."""

    name: str
    plugin: NotifyBase | None


def deliver(store: AlertStore, urls: Sequence[SecretStr], wall_ms: int, limit: int = 20) -> Delivery:
    """Send the pending alerts to every channel, at least once each; never raises for a dead channel.

    One call sends at most `limit` alerts, and a channel that fails is not tried again in it, so a dead one costs one timeout.
    A failed alert waits in the store, longer each time, and is then sent only to the channels it has not reached.
    Without any URL the log is the channel: each alert is one line in it, and delivered.

    Args:
        store: the alerts.
        urls: apprise URLs, e.g. `json://127.0.0.1:9000/alerts`.
        wall_ms: wall time.
        limit: most alerts in this call.
    """
    pending = store.pending(wall_ms, limit)
    with quiet() as seen:
        channels = _channels(urls) if pending else []
        dead: set[str] = set()
        failed = [record for record in pending if not _send(store, record, channels, _Round(wall_ms, dead, seen))]
    return Delivery(delivered=len(pending) - len(failed), failed=len(failed))


@dataclass(frozen=True)
class _Round:
    wall_ms: int
    dead: set[str]
    seen: list[str]


def _send(store: AlertStore, record: AlertRecord, channels: Sequence[_Channel], this: _Round) -> bool:
    """Send one alert where it has not been; True once every channel has it."""
    alert = record.alert
    missing = [channel for channel in channels if channel.name not in record.channels]
    errors = []
    for channel in missing:
        if channel.name in this.dead:
            continue
        error = _attempt(channel, alert, this.seen)
        if error:
            this.dead.add(channel.name)
            errors.append(f"{channel.name}: {error}")
        else:
            store.mark_reached(alert.key, channel.name, this.wall_ms)
    if errors:
        store.mark_failed(alert.key, "; ".join(errors), this.wall_ms)
        logger.warning("alert not delivered key=%s attempt=%d error=%s", alert.key, record.attempts + 1, "; ".join(errors))
        return False
    if any(channel.name in this.dead for channel in missing):
        return False  # it waits for the next call without a longer pause: nobody has refused it
    store.mark_delivered(alert.key, this.wall_ms)
    logger.info("alert delivered key=%s severity=%s title=%s channels=%d", alert.key, alert.severity, alert.title, len(channels))
    return True


def _attempt(channel: _Channel, alert: Alert, seen: list[str]) -> str:
    """Send once; what went wrong, without anything the URL holds, or empty."""
    if channel.plugin is None:
        return "apprise cannot read this URL; see TIDEMILL_ALERTS__URLS"
    body = f"{alert.body}\n{alert.link}".strip() or alert.title
    seen.clear()
    try:
        done = channel.plugin.notify(body=body, title=alert.title, notify_type=_TYPES[alert.severity])
    except Exception as error:  # plugins of a hundred services: whatever one raises, the alert stays pending
        return type(error).__name__
    if done:
        return ""
    status = re.search(r"error=(\d{3})\b", " ".join(seen))
    return f"HTTP {status.group(1)}" if status else "no answer, or refused"


def _channels(urls: Sequence[SecretStr]) -> list[_Channel]:
    """Name each channel after its schema and 16 bits of a digest: enough to tell a few apart, too few to guess a password by."""
    found: list[_Channel] = []
    for url in urls:
        text = url.get_secret_value()
        plugin = Apprise.instantiate(text)
        # What stands before :// is a schema only if apprise could read the rest.
        schema = "url" if plugin is None else text.partition("://")[0]
        name = f"{schema}#{sha256(text.encode()).hexdigest()[:4]}"
        same = sum(channel.name.partition("~")[0] == name for channel in found)
        found.append(_Channel(f"{name}~{same}" if same else name, plugin))
    return found
