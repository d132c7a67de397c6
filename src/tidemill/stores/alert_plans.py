"""What is planned of alerts in one transaction, and everything that planning looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidemill.stores.alert_records import About, Moment, Severity, Silence


@dataclass(frozen=True)
class Waiting:
    """An alert that is in no message yet, as far as planning needs it; `noticed` is when it was first seen here."""

    key: str
    model: str
    kind: str
    severity: Severity
    condition: str
    ended_at_ms: int | None
    silence: int | None
    held_until_ms: int | None
    noticed: Moment | None


@dataclass(frozen=True)
class Told:
    """The last message of a model and kind."""

    at: Moment
    severity: Severity


@dataclass(frozen=True)
class Over:
    """A message all of whose alerts are over, which nobody has been told yet."""

    number: int
    model: str
    kind: str
    severity: Severity


@dataclass(frozen=True)
class Outlook:
    """Everything that planning looks at, as of one moment.

    Args:
        waiting: the alerts in no message.
        told: by (model, kind), the last message.
        silences: those that stand.
        acknowledged: by condition that goes on, the key of its acknowledged alert.
        over: messages whose end is to be told.
    """

    waiting: tuple[Waiting, ...] = ()
    told: Mapping[tuple[str, str], Told] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()
    acknowledged: Mapping[str, str] = field(default_factory=dict)
    over: tuple[Over, ...] = ()


@dataclass(frozen=True)
class Planned:
    """A message to make of alerts; `awaits_end` if another one is to follow when all of them are over."""

    model: str
    kind: str
    severity: Severity
    about: About
    keys: tuple[str, ...]
    awaits_end: bool


@dataclass(frozen=True)
class Plan:
    """What to write of alerts in one transaction.

    Args:
        messages: to make.
        ends: of which messages to tell the end.
        noticed: keys of alerts seen for the first time.
        held: by key, the stream time until which a cooldown holds it.
        silenced: by key, the number of the silence that keeps it back.
        covered: by key, the acknowledged alert of the same condition.
    """

    messages: tuple[Planned, ...] = ()
    ends: tuple[Over, ...] = ()
    noticed: tuple[str, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    silenced: Mapping[str, int] = field(default_factory=dict)
    covered: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.messages or self.ends or self.noticed or self.held or self.silenced or self.covered)
