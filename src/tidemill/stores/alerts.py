"""Alerts for people: each raised once per key, acknowledged by a person, and over when its condition is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, bindparam, func, select, update

from tidemill.clock import MINUTE_MS, SECOND_MS
from tidemill.errors import NotFoundError
from tidemill.stores.alert_records import Alert, AlertRecord, Conditions, Severity
from tidemill.stores.cursors import reading
from tidemill.stores.insert_new import insert_new
from tidemill.stores.loop_tables import ALERT_CHANNELS, ALERT_MESSAGES, ALERTS, WANTS_CHECK
from tidemill.stores.publication_outbox import keep_alert

__all__ = [
    "FIRST_PAUSE_MS",
    "LONGEST_PAUSE_MS",
    "RECORDS",
    "Alert",
    "AlertRecord",
    "AlertStore",
    "Severity",
    "channels_of",
    "end_others",
    "insert_alert",
    "pause_ms",
    "read_records",
]

FIRST_PAUSE_MS = 5 * SECOND_MS
LONGEST_PAUSE_MS = 15 * MINUTE_MS
_A, _M = ALERTS.c, ALERT_MESSAGES.c

_FIELDS = [_A[field.name] for field in fields(Alert)]
_STANDING = [_A[name] for name in ("ended_at_ms", "ended_why", "acked_by", "acked_wall_ms", "held_until_ms", "silence", "covered_by")]
_DELIVERY = [_A.explaining_wall_ms, _M.attempts, _M.delivered_wall_ms, _M.last_error]
RECORDS = select(*_FIELDS, *_STANDING, _A.message, *_DELIVERY).outerjoin_from(ALERTS, ALERT_MESSAGES, _M.number == _A.message)
# Asked at every step of the relay, and built here once: building a statement costs as much as running it.
_UNEXPLAINED = select(*_FIELDS).where(WANTS_CHECK, _A.at_ms >= bindparam("since_ms")).order_by(_A.at_ms, _A.key).limit(bindparam("most"))
_SENT = select(ALERT_CHANNELS.c.message, ALERT_CHANNELS.c.channel).where(ALERT_CHANNELS.c.message.in_(bindparam("numbers", expanding=True)))


def pause_ms(attempts: int) -> int:
    """How long to wait after the `attempts`-th failure: doubling from 5 s, at most 15 min.

    >>> [pause_ms(n) // 1_000 for n in (1, 2, 3, 20)]
    [5, 10, 20, 900]
    """
    return int(min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(attempts - 1, 30)))


def insert_alert(connection: Connection, alert: Alert) -> bool:
    """Write an alert in the caller's transaction, to be published too; False if its key exists."""
    if not insert_new(connection, ALERTS, [{**asdict(alert), "kind": alert.kind}], ["key"]):
        return False
    _publish(connection, alert, alert.key, None, "")
    return True


def end_others(connection: Connection, conditions: Conditions) -> int:
    """End the conditions of a model and kind that do not stand, in the caller's transaction; answers how many alerts those had."""
    mine = (_A.model == conditions.model) & (_A.kind == conditions.kind)
    return _end(connection, mine & _A.condition.not_in(sorted(conditions.standing)), conditions.at_ms, conditions.why)


class AlertStore:
    """Alerts on the engine of `open_loop`; `AlertMessages` tells them.

    >>> import tempfile; from pathlib import Path; from tidemill.stores import Databases, open_loop
    >>> store = AlertStore(open_loop(Databases(Path(tempfile.mkdtemp()))))
    >>> alert = Alert("outcomes:late:900", "late", "critical", "Errors rose", "0.31 -> 0.38", "", at_ms=900, condition="outcomes:late")
    >>> store.raise_alert(alert), store.raise_alert(alert)
    (True, False)
    >>> store.acknowledge(["outcomes:late:900"], "ann", wall_ms=5)
    1
    >>> store.end("outcomes:late", at_ms=950, why="version 4 serves"), store.end("outcomes:late", at_ms=960, why="again")
    (1, 0)
    >>> [(one.acked_by, one.ended_at_ms, one.ended_why) for one in store.recent()]
    [('ann', 950, 'version 4 serves')]
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def raise_alert(self, alert: Alert) -> bool:
        """Keep the alert until it is told; False if its key was raised before."""
        with self._engine.begin() as connection:
            return insert_alert(connection, alert)

    def end(self, condition: str, at_ms: int, why: str) -> int:
        """A condition is over: answers how many alerts of it were open. People are told, unless they never heard that it began.

        Args:
            condition: of the alerts.
            at_ms: stream time.
            why: how that is known, for a person.

        Raises:
            ValueError: no condition.
        """
        if not condition:
            raise ValueError("say which condition is over: an alert without one cannot end")
        if not self.is_open(condition):  # looked at first, so that who asks at every step writes nothing
            return 0
        with self._engine.begin() as connection:
            return _end(connection, _A.condition == condition, at_ms, why)

    def is_open(self, condition: str) -> bool:
        """Whether an alert of a condition was raised that is not over."""
        with self._reading.connect() as connection:
            query = select(_A.key).where(_A.condition == condition, _A.ended_at_ms.is_(None)).limit(1)
            return connection.scalar(query) is not None

    def acknowledge(self, keys: Sequence[str], by: str, wall_ms: int) -> int:
        """Somebody knows: nothing more is told of the alerts' conditions until they are over. Answers how many nobody had acknowledged.

        Raises:
            NotFoundError: there is no alert of one of the keys; then none is acknowledged.
        """
        with self._engine.begin() as connection:
            for key in keys:
                if connection.scalar(select(_A.key).where(_A.key == key)) is None:
                    raise NotFoundError("alert", key)
            mine = update(ALERTS).where(_A.key.in_(keys), _A.acked_wall_ms.is_(None))
            return connection.execute(mine.values(acked_by=by, acked_wall_ms=wall_ms)).rowcount

    def unexplained(self, since_ms: int = 0, limit: int = 5) -> list[Alert]:
        """The alerts since a stream time that ask for a check which nobody has started, oldest first."""
        with self._reading.connect() as connection:
            return [Alert(*row) for row in connection.execute(_UNEXPLAINED, {"since_ms": since_ms, "most": limit})]

    def mark_explaining(self, key: str, wall_ms: int) -> None:
        """A check has been started; whatever becomes of it, no second one is."""
        with self._engine.begin() as connection:
            connection.execute(update(ALERTS).where(_A.key == key).values(explaining_wall_ms=wall_ms))

    def explained(self, key: str, link: str) -> None:
        """The check's report is what the alert points to from now on."""
        with self._engine.begin() as connection:
            connection.execute(update(ALERTS).where(_A.key == key).values(link=link))

    def get(self, key: str) -> Alert:
        """The alert.

        Raises:
            NotFoundError: there is none with this key.
        """
        found = self._read(RECORDS.where(_A.key == key))
        if not found:
            raise NotFoundError("alert", key, ())
        return found[0].alert

    def recent(self, model: str | None = None, limit: int = 50) -> list[AlertRecord]:
        """The newest alerts first, of one model or of all."""
        query = RECORDS.order_by(_A.at_ms.desc(), _A.key).limit(limit)
        return self._read(query if model is None else query.where(_A.model == model))

    def going_on(self) -> dict[tuple[str, str], int]:
        """How many alerts have a condition that still holds, by model and severity."""
        holds = _A.condition != "", _A.ended_at_ms.is_(None)
        query = select(_A.model, _A.severity, func.count()).where(*holds).group_by(_A.model, _A.severity)
        with self._reading.connect() as connection:
            return {(model, severity): count for model, severity, count in connection.execute(query)}

    def undelivered(self, limit: int) -> list[AlertRecord]:
        """The alerts that are to be told and have not reached every channel, newest first."""
        wanted = _M.delivered_wall_ms.is_(None) & _A.covered_by.is_(None) & _A.silence.is_(None)
        return self._read(RECORDS.where(wanted).order_by(_A.at_ms.desc(), _A.key).limit(limit))

    def _read(self, query: Select[Any]) -> list[AlertRecord]:
        with self._reading.connect() as connection:
            return read_records(connection, query)


def read_records(connection: Connection, query: Select[Any]) -> list[AlertRecord]:
    """What a query finds that was made of `RECORDS`."""
    rows = connection.execute(query).all()
    numbers = sorted({row.message for row in rows} - {None})
    reached = channels_of(connection, numbers)
    return [_record(row, reached.get(row.message, frozenset())) for row in rows]


def channels_of(connection: Connection, numbers: Sequence[int]) -> dict[int, frozenset[str]]:
    """By message, the channels that have it."""
    found: dict[int, set[str]] = {}
    for number, channel in connection.execute(_SENT, {"numbers": list(numbers)}).all() if numbers else ():
        found.setdefault(number, set()).add(channel)
    return {number: frozenset(names) for number, names in found.items()}


def _record(row: Row[Any], channels: frozenset[str]) -> AlertRecord:
    values = row._asdict()
    alert = Alert(**{field.name: values.pop(field.name) for field in fields(Alert)})
    if values["message"] is None:
        values |= {"attempts": 0, "last_error": ""}
    return AlertRecord(alert=alert, channels=channels, **values)


def _end(connection: Connection, which: ColumnElement[bool], at_ms: int, why: str) -> int:
    open_ones = which & (_A.condition != "") & _A.ended_at_ms.is_(None)
    ending = update(ALERTS).where(open_ones).values(ended_at_ms=at_ms, ended_why=why).returning(*_FIELDS)
    ended = [Alert(*row) for row in connection.execute(ending).all()]
    for alert in sorted(ended, key=lambda one: one.key):
        _publish(connection, alert, f"{alert.key}.ended", at_ms, why)
    return len(ended)


def _publish(connection: Connection, alert: Alert, record_id: str, ended_at_ms: int | None, ended_why: str) -> None:
    said = {**asdict(alert), "cause": alert.kind, "ended_at_ms": ended_at_ms, "ended_why": ended_why}
    keep_alert(connection, record_id, alert.model, said)
