"""Which alerts go out now, which wait, and which do not: a plan made of plain values.

```
 warning  warning  warning             warning   CRITICAL      warning      time, on either clock
 ├─gather──────────┤──────── cooldown ───────────┤─────── cooldown ───────────────┤
                   one message                   one, at once,                    a summary
                   of three                      with what was held               of what was held
```
A cooldown begins with each message of a model and kind, and holds back what is no graver than that message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tidemill.settings import AlertSettings
from tidemill.stores.alert_messages import AlertMessages
from tidemill.stores.alert_plans import Outlook, Over, Plan, Planned, Told, Waiting
from tidemill.stores.alert_records import SEVERITIES, Moment, Severity, Silence


@dataclass(frozen=True)
class GatherRules:
    """Spans of either clock: how long the first alert waits for others, and how long a message keeps the next one back."""

    gather_ms: int
    cooldown_ms: int

    @classmethod
    def of(cls, settings: AlertSettings) -> GatherRules:
        """Those of the settings."""
        return cls(settings.gather_ms, settings.cooldown_ms)


def gather(messages: AlertMessages, rules: GatherRules, now: Moment) -> Plan:
    """Put what is due into messages, each alert into one; answers what was written.

    Raises:
        ConflictError: another process gathers too; the next round looks again.
    """
    plan = plan_messages(messages.outlook(now.wall_ms), rules, now)
    if not plan.is_empty:
        messages.keep(plan, now)
    return plan


def plan_messages(outlook: Outlook, rules: GatherRules, now: Moment) -> Plan:
    """What to do with the alerts that are in no message, and with messages that are over.

    - One of a condition that goes on and that somebody has acknowledged is covered by the acknowledged one, for good.
    - One that a silence covers is silenced. When the silence is over, it is told if its condition still goes on.
    - The others of one model and kind wait together: for more to come, then for the end of the cooldown unless one is graver than what
      was told last. Then they are one message.
    - The end of a message is told at once, or when a silence is over.

    >>> def waits(key, severity="warning"):
    ...     return Waiting(key, "late", "windows", severity, "", None, None, None, noticed=Moment(0, 0))
    >>> rules, told = GatherRules(gather_ms=10, cooldown_ms=100), {("late", "windows"): Told(Moment(0, 0), "warning")}
    >>> plan_messages(Outlook((waits("a"), waits("b"))), rules, Moment(9, 9)).messages
    ()
    >>> [one.keys for one in plan_messages(Outlook((waits("a"), waits("b"))), rules, Moment(10, 10)).messages]
    [('a', 'b')]
    >>> plan_messages(Outlook((waits("a"),), told), rules, Moment(50, 50)).held
    {'a': 100}
    >>> [one.keys for one in plan_messages(Outlook((waits("a"), waits("b", "critical")), told), rules, Moment(50, 50)).messages]
    [('a', 'b')]
    """
    covered = {
        one.key: outlook.acknowledged[one.condition]
        for one in outlook.waiting
        if outlook.acknowledged.get(one.condition, one.key) != one.key
    }
    silenced: dict[str, int] = {}
    groups: dict[tuple[str, str], list[Waiting]] = {}
    for one in outlook.waiting:
        silence = _silence_of(outlook.silences, one)
        if one.key in covered:
            continue
        if silence is None:
            groups.setdefault((one.model, one.kind), []).append(one)
        elif silence.number != one.silence:
            silenced[one.key] = silence.number
    messages, held = [], dict[str, int]()
    for pair, group in groups.items():
        told = outlook.told.get(pair)
        if told is not None and _holds(told, group, rules, now):
            held |= {one.key: told.at.stream_ms + rules.cooldown_ms for one in group if one.held_until_ms is None}
        elif _is_gathered(group, rules, now):
            messages.append(_message_of(group))
    return Plan(
        messages=tuple(messages),
        ends=tuple(over for over in outlook.over if _silence_of(outlook.silences, over) is None),
        noticed=tuple(one.key for group in groups.values() for one in group if one.noticed is None),
        held=held,
        silenced=silenced,
        covered=covered,
    )


def _silence_of(silences: Iterable[Silence], one: Waiting | Over) -> Silence | None:
    return next((silence for silence in silences if silence.covers(one.model, one.kind)), None)


def _holds(told: Told, group: list[Waiting], rules: GatherRules, now: Moment) -> bool:
    return not now.is_past(told.at, rules.cooldown_ms) and SEVERITIES.index(_gravest(group)) <= SEVERITIES.index(told.severity)


def _is_gathered(group: list[Waiting], rules: GatherRules, now: Moment) -> bool:
    """Whether the first that no cooldown held has waited long enough for others; what was held waits for nobody."""
    fresh = [one.noticed or now for one in group if one.held_until_ms is None]
    return not fresh or now.is_past(min(fresh, key=lambda moment: moment.wall_ms), rules.gather_ms)


def _message_of(group: list[Waiting]) -> Planned:
    first = group[0]
    can_end = all(one.condition for one in group)
    return Planned(
        model=first.model,
        kind=first.kind,
        severity=_gravest(group),
        about="summary" if all(one.held_until_ms is not None for one in group) else "alerts",
        keys=tuple(one.key for one in group),
        awaits_end=can_end and any(one.ended_at_ms is None for one in group),
    )


def _gravest(group: list[Waiting]) -> Severity:
    return max((one.severity for one in group), key=SEVERITIES.index)
