"""Messages as text for a person: what has changed, since when, how it hurts, whether it is over, and where to read on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tidemill.clock import to_utc
from tidemill.pages import Pages
from tidemill.stores.alert_records import SEVERITIES, AlertRecord, Message, Severity

_MOST_LINES = 100
_SEVERAL = {
    "check": "failed checks",
    "deadletters": "warnings of dead letters",
    "outcomes": "error alarms",
    "parity": "parity alerts",
    "publishing": "failures to publish",
    "reaction": "refused reactions",
    "windows": "feature warnings",
}


KINDS = tuple(sorted(_SEVERAL))


@dataclass(frozen=True)
class AlertText:
    """A message as it is sent; `is_end` where it says that something is over."""

    title: str
    body: str
    severity: Severity
    is_end: bool = False


def several(kind: str) -> str:
    """What several alerts of a kind are called.

    >>> several("windows"), several("volume")
    ('feature warnings', 'volume alerts')
    """
    return _SEVERAL.get(kind, f"{kind} alerts")


def text_of(message: Message, pages: Pages | None = None) -> AlertText:
    """The text of a message.

    Args:
        message: what to tell.
        pages: where links lead people, and where all alerts can be seen, for an alert that has no report; None without such pages.

    >>> from tidemill.settings import Settings
    >>> from tidemill.stores.alert_records import Alert
    >>> wind = Alert("windows:late:3:wind:9", "late", "warning", "late: wind has moved", "0.4 against 0.2", "", at_ms=9, since_ms=0)
    >>> record = AlertRecord(wind, None, "", "", None, None, None, None, message=1)
    >>> pages = Pages.abroad(Settings())
    >>> text = text_of(Message(1, "late", "windows", "warning", "alerts", 0, frozenset(), (record,)), pages)
    >>> print(f"{text.title}\\n{text.body}")
    late: wind has moved
    0.4 against 0.2
    Since 1970-01-01 00:00 UTC.
    http://127.0.0.1:8000/#alerts
    """
    alerts = sorted(message.alerts, key=lambda one: (-SEVERITIES.index(one.alert.severity), one.alert.at_ms, one.alert.key))
    is_end = message.about == "end"
    title = alerts[0].alert.title if len(alerts) == 1 else _counted(message, len(alerts))
    lines = _one(alerts[0], is_end=is_end) if len(alerts) == 1 else _many(message, alerts)
    known = [one.alert.link for one in alerts if one.alert.link]
    links = dict.fromkeys(known) if pages is None else dict.fromkeys(map(pages.shown, known)) or [pages.alerts]
    return AlertText(f"Over: {title}" if is_end else title, "\n".join([*lines, *links]), message.severity, is_end)


def _counted(message: Message, count: int) -> str:
    return f"{message.model}: {count} {'more ' if message.about == 'summary' else ''}{several(message.kind)}"


def _one(record: AlertRecord, *, is_end: bool) -> list[str]:
    if is_end:
        return [_sentence(_over(record)), f"It was found {_moment(record.alert.at_ms)}: {record.alert.body}"]
    said = [_since(record), _harm(record.alert.harm), _over(record), _acknowledged(record)]
    return [line for line in (record.alert.body, *map(_sentence, said)) if line]


def _many(message: Message, alerts: list[AlertRecord]) -> list[str]:
    """A line for each, and once what they have in common."""
    harms = {one.alert.harm for one in alerts}
    shared = harms.pop() if len(harms) == 1 else None
    lines = [f"- {_line(message, one, with_harm=shared is None)}" for one in alerts[:_MOST_LINES]]
    if len(alerts) > _MOST_LINES:
        lines.append(f"- and {len(alerts) - _MOST_LINES} more, see `tidemill alerts --model {message.model}`")
    if message.about == "summary":
        lines.insert(0, "Meanwhile, while the cooldown held them back:")
    return [*lines, _sentence(_harm(shared))] if shared and message.about != "end" else lines


def _line(message: Message, record: AlertRecord, *, with_harm: bool) -> str:
    alert = record.alert
    if message.about == "end":
        said: Iterable[str] = [_over(record)]
    else:
        said = [alert.body, _since(record), _harm(alert.harm) if with_harm else "", _over(record), _acknowledged(record)]
    return "; ".join([alert.title.removeprefix(f"{alert.model}: "), *(each for each in said if each)])


def _since(record: AlertRecord) -> str:
    return "" if record.alert.since_ms is None else f"since {_moment(record.alert.since_ms)}"


def _harm(harm: str | None) -> str:
    return f"harm: {harm}" if harm else ""


def _over(record: AlertRecord) -> str:
    return "" if record.ended_at_ms is None else f"over since {_moment(record.ended_at_ms)}: {record.ended_why}"


def _acknowledged(record: AlertRecord) -> str:
    return f"acknowledged by {record.acked_by}" if record.acked_by else ""


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _moment(ms: int) -> str:
    return f"{to_utc(ms):%Y-%m-%d %H:%M} UTC"
