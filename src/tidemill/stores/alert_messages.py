"""The outbox of alerts: each message is kept until every channel has it, and tried again with growing pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, func, insert, literal_column, or_, select, update

from tidemill.errors import ConflictError
from tidemill.stores.alert_plans import Outlook, Over, Plan, Planned, Told, Waiting
from tidemill.stores.alert_records import Message, Moment, Silence
from tidemill.stores.alerts import RECORDS, channels_of, pause_ms, read_records
from tidemill.stores.cursors import reading
from tidemill.stores.insert_new import insert_new
from tidemill.stores.loop_tables import ALERT_CHANNELS, ALERT_MESSAGES, ALERT_SILENCES, ALERTS

_AT_ONCE = 500  # keys of one statement
_MOST_WAITING = 5_000
_A, _M, _S = ALERTS.c, ALERT_MESSAGES.c, ALERT_SILENCES.c
_ORIGINAL = ALERT_MESSAGES.alias("original")

# Asked at every step of the relay, and built here once: building a statement costs as much as running it. One that is held or silenced
# comes after the others, so that no number of them keeps a new one from being seen.
_NAMES = ("key", "model", "kind", "severity", "condition", "ended_at_ms", "silence", "held_until_ms", "noticed_at_ms", "noticed_wall_ms")
_WAITING = (
    select(*(_A[name] for name in _NAMES))
    .where(_A.message.is_(None), _A.covered_by.is_(None))
    .where(or_(_A.silence.is_(None), and_(_A.condition != "", _A.ended_at_ms.is_(None))))
    .order_by(_A.held_until_ms.is_not(None), _A.silence.is_not(None), _A.at_ms, _A.key)
    .limit(_MOST_WAITING)
)
_STILL_ON = select(_A.key).where(_A.message == _M.number, _A.ended_at_ms.is_(None)).exists()
# A literal, as a database takes a partial index only for a condition that it can read.
_OVER = select(_M.number, _M.model, _M.kind, _M.severity).where(_M.awaits_end == literal_column("1"), ~_STILL_ON).order_by(_M.number)
_TOLD = (
    select(_M.at_ms, _M.wall_ms, _M.severity)
    .where(_M.model == bindparam("model"), _M.kind == bindparam("kind"), _M.about != "end")
    .order_by(_M.number.desc())
    .limit(1)
)
_ACKNOWLEDGED = (
    select(_A.condition, func.min(_A.key))
    .where(_A.acked_wall_ms.is_not(None), _A.ended_at_ms.is_(None), _A.condition != "")
    .group_by(_A.condition)
)
_PENDING = (
    select(_M.number, _M.model, _M.kind, _M.severity, _M.about, _M.attempts, _M.ends)
    .outerjoin(_ORIGINAL, _ORIGINAL.c.number == _M.ends)
    .where(_M.delivered_wall_ms.is_(None), _M.next_attempt_wall_ms <= bindparam("wall_ms"))
    .where(or_(_M.ends.is_(None), _ORIGINAL.c.delivered_wall_ms.is_not(None)))  # nobody hears of an end before the beginning
    .order_by(_M.next_attempt_wall_ms, _M.number)
    .limit(bindparam("most"))
)


class AlertMessages:
    """Messages on the engine of `open_loop`: what is planned of alerts is kept here, and how its delivery stands.

    >>> import tempfile; from pathlib import Path; from tidemill.stores import Alert, AlertStore, Databases, open_loop
    >>> loop = open_loop(Databases(Path(tempfile.mkdtemp())))
    >>> AlertStore(loop).raise_alert(Alert("check:late:900", "late", "warning", "Moved", "3 of 9 columns", "", at_ms=900))
    True
    >>> messages, now = AlertMessages(loop), Moment(stream_ms=900, wall_ms=1_000)
    >>> [waiting.key for waiting in messages.outlook(now.wall_ms).waiting]
    ['check:late:900']
    >>> messages.keep(Plan(messages=(Planned("late", "check", "warning", "alerts", ("check:late:900",), awaits_end=False),)), now)
    >>> messages.mark_failed(1, "no answer", wall_ms=1_000)
    >>> len(messages.pending(wall_ms=5_999)), len(messages.pending(wall_ms=6_000))
    (0, 1)
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def outlook(self, wall_ms: int) -> Outlook:
        """Everything that a plan is made from, in one snapshot; of more than 5,000 waiting alerts those that were not seen yet."""
        with self._reading.connect() as connection:
            waiting = tuple(_waiting(row) for row in connection.execute(_WAITING))
            over = tuple(Over(*row) for row in connection.execute(_OVER))
            if not waiting and not over:
                return Outlook()
            return Outlook(
                waiting=waiting,
                told=_told(connection, {(one.model, one.kind) for one in waiting}),
                silences=standing_silences(connection, wall_ms),
                acknowledged={condition: key for condition, key in connection.execute(_ACKNOWLEDGED)},
                over=over,
            )

    def keep(self, plan: Plan, now: Moment) -> None:
        """Write a plan, all of it or nothing.

        Raises:
            ConflictError: another process has put one of the alerts into a message meanwhile.
        """
        with self._engine.begin() as connection:
            for planned in plan.messages:
                _make(connection, planned, now)
            for over in plan.ends:
                _make_end(connection, over, now)
            _set(connection, plan.noticed, noticed_at_ms=now.stream_ms, noticed_wall_ms=now.wall_ms)
            for name, found in (("held_until_ms", plan.held), ("silence", plan.silenced), ("covered_by", plan.covered)):
                for value in set(found.values()):
                    _set(connection, [key for key, its in found.items() if its == value], **{name: value})

    def pending(self, wall_ms: int, limit: int = 20) -> list[Message]:
        """The messages to deliver now, oldest first; those that failed wait out their pause, and an end waits for its beginning."""
        with self._reading.connect() as connection:
            rows = connection.execute(_PENDING, {"wall_ms": wall_ms, "most": limit}).all()
            reached = channels_of(connection, [row.number for row in rows])
            return [_message(connection, row, reached.get(row.number, frozenset())) for row in rows]

    def mark_reached(self, number: int, channel: str, wall_ms: int) -> None:
        """Remember that one channel has the message, so that another's failure does not send it there twice."""
        with self._engine.begin() as connection:
            insert_new(connection, ALERT_CHANNELS, [{"message": number, "channel": channel, "wall_ms": wall_ms}])

    def mark_delivered(self, number: int, wall_ms: int) -> None:
        """Every channel has it: never send it again."""
        with self._engine.begin() as connection:
            mine = update(ALERT_MESSAGES).where(_M.number == number)
            connection.execute(mine.values(delivered_wall_ms=wall_ms, last_error=""))

    def mark_failed(self, number: int, error: str, wall_ms: int) -> None:
        """Keep the error (no secrets) and wait for `pause_ms` of the attempts so far."""
        with self._engine.begin() as connection:
            attempts = connection.scalar(select(_M.attempts).where(_M.number == number)) or 0
            values = {"attempts": attempts + 1, "next_attempt_wall_ms": wall_ms + pause_ms(attempts + 1), "last_error": error}
            connection.execute(update(ALERT_MESSAGES).where(_M.number == number).values(values))


def standing_silences(connection: Connection, wall_ms: int) -> tuple[Silence, ...]:
    """The silences that stand at a wall time, in the order in which they began."""
    names = Silence.__dataclass_fields__
    query = select(*(_S[name] for name in names)).where(_S.ended_wall_ms.is_(None), _S.until_wall_ms > wall_ms).order_by(_S.number)
    return tuple(Silence(*row) for row in connection.execute(query))


def _waiting(row: Any) -> Waiting:
    values = row._asdict()
    at_ms, wall_ms = values.pop("noticed_at_ms"), values.pop("noticed_wall_ms")
    return Waiting(**values, noticed=None if at_ms is None else Moment(at_ms, wall_ms))


def _told(connection: Connection, pairs: set[tuple[str, str]]) -> Mapping[tuple[str, str], Told]:
    found = {}
    for model, kind in sorted(pairs):
        row = connection.execute(_TOLD, {"model": model, "kind": kind}).first()
        if row is not None:
            found[model, kind] = Told(Moment(row.at_ms, row.wall_ms), row.severity)
    return found


def _message(connection: Connection, row: Any, channels: frozenset[str]) -> Message:
    told = RECORDS.where(_A.message == (row.number if row.ends is None else row.ends)).order_by(_A.at_ms, _A.key)
    alerts = read_records(connection, told)
    return Message(row.number, row.model, row.kind, row.severity, row.about, row.attempts, channels, tuple(alerts))


def _make(connection: Connection, planned: Planned, now: Moment) -> None:
    values = {
        "model": planned.model,
        "kind": planned.kind,
        "severity": planned.severity,
        "about": planned.about,
        "at_ms": now.stream_ms,
        "wall_ms": now.wall_ms,
        "awaits_end": int(planned.awaits_end),
    }
    (number,) = connection.execute(insert(ALERT_MESSAGES).values(values)).inserted_primary_key or (None,)
    if _set(connection, planned.keys, message=number) != len(planned.keys):
        raise ConflictError(f"another process has told an alert of {planned.model}, {planned.kind}; look again")


def _make_end(connection: Connection, over: Over, now: Moment) -> None:
    awaited = update(ALERT_MESSAGES).where(_M.number == over.number, _M.awaits_end == 1).values(awaits_end=0)
    if connection.execute(awaited).rowcount != 1:
        raise ConflictError(f"another process has told the end of message {over.number}; look again")
    values = {"model": over.model, "kind": over.kind, "severity": over.severity, "about": "end", "ends": over.number}
    connection.execute(insert(ALERT_MESSAGES).values(values | {"at_ms": now.stream_ms, "wall_ms": now.wall_ms, "awaits_end": 0}))


def _set(connection: Connection, keys: Sequence[str], **values: object) -> int:
    """Set columns of alerts that are in no message; answers how many those were."""
    changed = 0
    for begin in range(0, len(keys), _AT_ONCE):
        mine = update(ALERTS).where(_A.key.in_(keys[begin : begin + _AT_ONCE]), _A.message.is_(None))
        changed += connection.execute(mine.values(values)).rowcount
    return changed
