"""What the alert stores keep: an alert and how it stands, the message it is told in, a silence.

```
 raised ──► waiting ──┬──► in a message ──► delivered ──► over, told in an end message
                      ├──► held by a cooldown ──► in a summary ...
                      └──► silenced, or covered by one that was acknowledged
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")  # the least first
About = Literal["alerts", "summary", "end"]
DeliveryState = Literal["delivered", "unsent", "waiting", "failing", "held", "silenced", "acknowledged"]


@dataclass(frozen=True)
class Moment:
    """A time on both clocks: that of the stream, and that on the wall.

    >>> [Moment(900, 5_000).is_past(Moment(0, 4_000), span_ms) for span_ms in (1_000, 1_001)]
    [True, False]
    """

    stream_ms: int
    wall_ms: int

    def is_past(self, since: Moment, span_ms: int) -> bool:
        """Whether a span has passed on either clock: a stream may stand still, and a replay is faster than the wall's.

        A clock that went back, to before `since`, says yes too: nobody may wait for a time that was made up.
        """
        return not (0 <= self.stream_ms - since.stream_ms < span_ms and 0 <= self.wall_ms - since.wall_ms < span_ms)


@dataclass(frozen=True)
class Alert:
    """Something a person should know. Raising a key again does nothing.

    Args:
        key: unique, and it begins with the kind: `windows:late_arrival:3:wind:900`.
        model: what it is about: a model, or a stream, reaction or kind of publication.
        severity: how grave.
        title: what has happened, in one line.
        body: what has changed, with its figures.
        link: to a report; empty when there is none.
        at_ms: stream time at which it was found.
        explain: the version whose inputs a check should look at, so that its report can become the link; empty asks for none.
        since_ms: stream time at which it is taken to have begun; None when nothing tells.
        harm: how it hurts, e.g. "errors from 31.0% to 38.2%"; empty when nothing is known.
        condition: what goes on until `AlertStore.end` says that it is over, e.g. `windows:late_arrival:3:wind`. Several alerts may be
            of one condition. Empty for what has happened and is nothing that could end.

    >>> Alert("windows:late:3:wind:900", "late", "warning", "wind has moved", "", "", at_ms=900).kind
    'windows'
    """

    key: str
    model: str
    severity: Severity
    title: str
    body: str
    link: str
    at_ms: int
    explain: str = ""
    since_ms: int | None = None
    harm: str = ""
    condition: str = ""

    @property
    def kind(self) -> str:
        """The cause: what stands before the first colon of the key."""
        return self.key.partition(":")[0]


@dataclass(frozen=True)
class Conditions:
    """Of one model and kind, the conditions that stand at a stream time: every other one is over, and `why` says so to a person."""

    model: str
    kind: str
    standing: frozenset[str]
    at_ms: int
    why: str


@dataclass(frozen=True)
class AlertRecord:
    """An alert, how it stands, and how its delivery goes.

    Args:
        alert: the alert.
        ended_at_ms: stream time at which its condition was over.
        ended_why: how that was known.
        acked_by: who acknowledged it, empty when nobody has.
        acked_wall_ms: and when.
        held_until_ms: stream time at which the cooldown ends that holds it back, or held it.
        silence: the number of the silence that keeps it, or kept it, from being told.
        covered_by: the key of the acknowledged alert of the same condition, for whose sake it is not told.
        message: the number of the message that tells it; None before there is one.
        attempts: failed tries of that message.
        delivered_wall_ms: when every channel had it.
        last_error: of the last try; no secrets.
        channels: those that have it.
        explaining_wall_ms: when a check was started that explains it.
    """

    alert: Alert
    ended_at_ms: int | None
    ended_why: str
    acked_by: str
    acked_wall_ms: int | None
    held_until_ms: int | None
    silence: int | None
    covered_by: str | None
    message: int | None
    attempts: int = 0
    delivered_wall_ms: int | None = None
    last_error: str = ""
    channels: frozenset[str] = frozenset()
    explaining_wall_ms: int | None = None

    @property
    def delivery(self) -> DeliveryState:
        """How its delivery stands; `unsent` where no channel wanted it, `acknowledged` where somebody knows of its condition."""
        if self.delivered_wall_ms is not None:
            return "delivered" if self.channels else "unsent"
        if self.message is not None:
            return "failing" if self.attempts else "waiting"
        if self.covered_by is not None:
            return "acknowledged"
        if self.silence is not None:
            return "silenced"
        return "held" if self.held_until_ms is not None else "waiting"


@dataclass(frozen=True)
class Message:
    """What goes out at once: alerts of one model and kind, or the word that all those of an earlier message are over.

    Args:
        number: of the message.
        model: whose alerts.
        kind: of them.
        severity: the gravest of them.
        about: `alerts` as they came, a `summary` of what a cooldown held back, or the `end`.
        attempts: failed tries.
        channels: those that have it.
        alerts: what it tells, oldest first.
    """

    number: int
    model: str
    kind: str
    severity: Severity
    about: About
    attempts: int
    channels: frozenset[str]
    alerts: tuple[AlertRecord, ...]


@dataclass(frozen=True)
class Silence:
    """A person's word that nothing of a model, or of one kind of it, is to be told until a wall time."""

    number: int
    model: str
    kind: str
    by: str
    reason: str
    from_wall_ms: int
    until_wall_ms: int

    def covers(self, model: str, kind: str) -> bool:
        """Whether it is about such alerts; one without a kind is about all kinds."""
        return self.model == model and self.kind in ("", kind)
