"""Tell people of alerts: what is due becomes messages, and messages are sent until every channel has them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from tidemill.loop.alert_texts import text_of
from tidemill.loop.channels import Channel, open_channels, wants
from tidemill.loop.gathering import GatherRules, gather
from tidemill.pages import Pages
from tidemill.settings import AlertSettings
from tidemill.stores.alert_messages import AlertMessages
from tidemill.stores.alert_records import Message, Moment

logger = logging.getLogger(__name__)

_MOST = 20


@dataclass(frozen=True)
class Delivery:
    """How one round went, in messages. A failed one stays pending."""

    delivered: int = 0
    failed: int = 0


def deliver(messages: AlertMessages, settings: AlertSettings, now: Moment, pages: Pages | None = None) -> Delivery:
    """Gather what is due into messages and send those that are pending; never raises for a dead channel.

    Without any URL the log is the channel: each message is one line in it, and delivered.

    Args:
        messages: the outbox.
        settings: channels, cooldown and how long to gather.
        now: the time on both clocks.
        pages: where people see all alerts, and what links lead to.
    """
    gather(messages, GatherRules.of(settings), now)
    pending = messages.pending(now.wall_ms, _MOST)
    return send(messages, pending, open_channels(settings.urls), now.wall_ms, pages) if pending else Delivery()


def send(
    messages: AlertMessages, pending: Sequence[Message], channels: Sequence[Channel], wall_ms: int, pages: Pages | None = None
) -> Delivery:
    """Send messages to every channel that wants something so grave, at least once each.

    A channel that fails is not tried again in this call, so a dead one costs one timeout. A message that failed waits in the store,
    longer each time, and is then sent only to the channels it has not reached.

    Args:
        messages: the outbox.
        pending: of it, oldest first.
        channels: where to.
        wall_ms: wall time.
        pages: where people see all alerts, and what links lead to.
    """
    this = _Round(wall_ms, pages, set())
    done = [_send(messages, message, [one for one in channels if wants(one, message.severity)], this) for message in pending]
    return Delivery(delivered=sum(done), failed=len(done) - sum(done))


@dataclass(frozen=True)
class _Round:
    wall_ms: int
    pages: Pages | None
    dead: set[str]


def _send(messages: AlertMessages, message: Message, channels: Sequence[Channel], this: _Round) -> bool:
    """Send one message where it has not been; True once every channel has it."""
    missing = [channel for channel in channels if channel.name not in message.channels]
    text, errors = text_of(message, this.pages), []
    for channel in missing:
        if channel.name in this.dead:
            continue
        error = channel.send(text)
        if error:
            this.dead.add(channel.name)
            errors.append(f"{channel.name}: {error}")
        else:
            messages.mark_reached(message.number, channel.name, this.wall_ms)
    said = "; ".join(errors)
    if errors:
        messages.mark_failed(message.number, said, this.wall_ms)
        logger.warning("alert not delivered message=%d attempt=%d error=%s", message.number, message.attempts + 1, said)
        return False
    if any(channel.name in this.dead for channel in missing):
        return False  # it waits for the next call without a longer pause: nobody has refused it
    messages.mark_delivered(message.number, this.wall_ms)
    fields = "alert delivered message=%d severity=%s alerts=%d title=%s channels=%d"
    logger.info(fields, message.number, message.severity, len(message.alerts), text.title, len(channels))
    return True
