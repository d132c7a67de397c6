"""Alerts for people: each raised once per key, kept until it was delivered, tried again with growing pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Row, Select, bindparam, select, update

from tidemill.clock import MINUTE_MS, SECOND_MS
from tidemill.errors import NotFoundError
from tidemill.stores.cursors import reading
from tidemill.stores.insert_new import insert_new
from tidemill.stores.loop_tables import ALERT_CHANNELS, ALERTS, WANTS_CHECK
from tidemill.stores.publication_outbox import keep_alert

Severity = Literal["info", "warning", "critical"]

FIRST_PAUSE_MS = 5 * SECOND_MS
LONGEST_PAUSE_MS = 15 * MINUTE_MS


@dataclass(frozen=True)
class Alert:
    """Something a person should know. `key` is unique: raising it again does nothing. `at_ms` is stream time.

    `explain` names the version whose inputs a check should look at, so that its report can become the link; "" asks for none.
    """

    key: str
    model: str
    severity: Severity
    title: str
    body: str
    link: str
    at_ms: int
    explain: str = ""


@dataclass(frozen=True)
class AlertRecord:
    """An alert and how its delivery stands; `channels` names those it has reached."""

    alert: Alert
    explaining_wall_ms: int | None
    attempts: int
    next_attempt_wall_ms: int
    delivered_wall_ms: int | None
    last_error: str
    channels: frozenset[str]


# Asked at every step of the relay, and built here once: building a statement costs as much as running it.
_UNEXPLAINED = (
    select(*(ALERTS.c[field.name] for field in fields(Alert)))
    .where(WANTS_CHECK, ALERTS.c.at_ms >= bindparam("since_ms"))
    .order_by(ALERTS.c.at_ms, ALERTS.c.key)
    .limit(bindparam("most"))
)
_PENDING = (
    select(ALERTS)
    .where(ALERTS.c.delivered_wall_ms.is_(None), ALERTS.c.next_attempt_wall_ms <= bindparam("wall_ms"))
    .order_by(ALERTS.c.next_attempt_wall_ms, ALERTS.c.at_ms, ALERTS.c.key)
    .limit(bindparam("most"))
)
_SENT = select(ALERT_CHANNELS.c.key, ALERT_CHANNELS.c.channel).where(ALERT_CHANNELS.c.key.in_(bindparam("keys", expanding=True)))


def pause_ms(attempts: int) -> int:
    """How long to wait after the `attempts`-th failure: doubling from 5 s, at most 15 min.

    >>> [pause_ms(n) // 1_000 for n in (1, 2, 3, 20)]
    [5, 10, 20, 900]
    """
    return int(min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(attempts - 1, 30)))


def insert_alert(connection: Connection, alert: Alert) -> bool:
    """Write an alert in the caller's transaction, to be published too; False if its key exists."""
    if not insert_new(connection, ALERTS, [asdict(alert)], ["key"]):
        return False
    keep_alert(connection, alert.key, alert.model, asdict(alert))
    return True


class AlertStore:
    """Alerts and their delivery on the engine of `open_loop`.

    >>> import tempfile; from pathlib import Path; from tidemill.stores import Databases, open_loop
    >>> store = AlertStore(open_loop(Databases(Path(tempfile.mkdtemp()))))
    >>> alert = Alert("late:cusum:900", "late", "warning", "Errors rose", "0.31 -> 0.38", "http://127.0.0.1:8000/", at_ms=900)
    >>> store.raise_alert(alert), store.raise_alert(alert)
    (True, False)
    >>> store.mark_failed("late:cusum:900", "no answer", wall_ms=1_000)
    >>> len(store.pending(wall_ms=5_999)), len(store.pending(wall_ms=6_000))
    (0, 1)
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def raise_alert(self, alert: Alert) -> bool:
        """Keep the alert until it is delivered; False if its key was raised before."""
        with self._engine.begin() as connection:
            return insert_alert(connection, alert)

    def pending(self, wall_ms: int, limit: int = 20) -> list[AlertRecord]:
        """The alerts to deliver now, oldest first; those that failed wait out their pause."""
        return self._read(_PENDING, {"wall_ms": wall_ms, "most": limit})

    def unexplained(self, since_ms: int = 0, limit: int = 5) -> list[Alert]:
        """The alerts since a stream time that ask for a check which nobody has started, oldest first."""
        with self._reading.connect() as connection:
            return [Alert(*row) for row in connection.execute(_UNEXPLAINED, {"since_ms": since_ms, "most": limit})]

    def mark_explaining(self, key: str, wall_ms: int) -> None:
        """A check has been started; whatever becomes of it, no second one is."""
        with self._engine.begin() as connection:
            connection.execute(update(ALERTS).where(ALERTS.c.key == key).values(explaining_wall_ms=wall_ms))

    def explained(self, key: str, link: str) -> None:
        """The check's report is what the alert points to from now on."""
        with self._engine.begin() as connection:
            connection.execute(update(ALERTS).where(ALERTS.c.key == key).values(link=link))

    def get(self, key: str) -> Alert:
        """The alert.

        Raises:
            NotFoundError: there is none with this key.
        """
        found = self._read(select(ALERTS).where(ALERTS.c.key == key))
        if not found:
            raise NotFoundError("alert", key, ())
        return found[0].alert

    def recent(self, model: str | None = None, limit: int = 50) -> list[AlertRecord]:
        """The newest alerts first, of one model or of all."""
        query = select(ALERTS).order_by(ALERTS.c.at_ms.desc(), ALERTS.c.key).limit(limit)
        return self._read(query if model is None else query.where(ALERTS.c.model == model))

    def mark_reached(self, key: str, channel: str, wall_ms: int) -> None:
        """Remember that one channel has the alert, so that another's failure does not send it there twice."""
        with self._engine.begin() as connection:
            insert_new(connection, ALERT_CHANNELS, [{"key": key, "channel": channel, "wall_ms": wall_ms}])

    def mark_delivered(self, key: str, wall_ms: int) -> None:
        """Every channel has it: never send it again."""
        with self._engine.begin() as connection:
            connection.execute(update(ALERTS).where(ALERTS.c.key == key).values(delivered_wall_ms=wall_ms, last_error=""))

    def mark_failed(self, key: str, error: str, wall_ms: int) -> None:
        """Keep the error (no secrets) and wait for `pause_ms` of the attempts so far."""
        with self._engine.begin() as connection:
            attempts = connection.scalar(select(ALERTS.c.attempts).where(ALERTS.c.key == key)) or 0
            values = {"attempts": attempts + 1, "next_attempt_wall_ms": wall_ms + pause_ms(attempts + 1), "last_error": error}
            connection.execute(update(ALERTS).where(ALERTS.c.key == key).values(values))

    def _read(self, query: Select[Any], values: Mapping[str, object] | None = None) -> list[AlertRecord]:
        with self._reading.connect() as connection:
            rows = connection.execute(query, values).all()
            sent = connection.execute(_SENT, {"keys": [row.key for row in rows]}).all() if rows else ()
        return [_record(row, [channel for key, channel in sent if key == row.key]) for row in rows]


def _record(row: Row[Any], channels: Sequence[str]) -> AlertRecord:
    values = row._asdict()
    alert = Alert(**{field.name: values.pop(field.name) for field in fields(Alert)})
    return AlertRecord(alert=alert, channels=frozenset(channels), **values)
