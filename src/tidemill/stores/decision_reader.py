"""Reading decisions: one, the newest, the running, the last that ended in some way; freezes; and what waits to be emitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Engine, Select, and_, func, not_, or_, select

from tidemill.errors import NotFoundError
from tidemill.stores.cursors import reading
from tidemill.stores.decision_records import Decision, Freeze, OutboxEvent, Outcome
from tidemill.stores.loop_tables import DECISIONS, FREEZES, OUTBOX

_D = DECISIONS.c
_FIELDS = [_D[field.name] for field in fields(Decision)]
_OUTBOX_BATCH = 100


class DecisionReader:
    """What `DecisionStore` can say of the decisions it holds, on the engine of `open_loop`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def get(self, decision_id: str) -> Decision:
        """The decision.

        Raises:
            NotFoundError: there is none with this id.
        """
        found = self._read(select(*_FIELDS).where(_D.id == decision_id))
        if not found:
            raise NotFoundError("decision", decision_id)
        return found[0]

    def of_alarm(self, model: str, alarm_key: str) -> Decision | None:
        """The one decision that was made for an alarm; None where there is none."""
        return next(iter(self._read(select(*_FIELDS).where(_D.model == model, _D.alarm_key == alarm_key))), None)

    def recent(self, model: str | None = None, limit: int = 50) -> list[Decision]:
        """The newest decisions first, of one model or of all."""
        query = select(*_FIELDS).order_by(_D.requested_wall_ms.desc(), _D.id.desc()).limit(limit)
        return self._read(query if model is None else query.where(_D.model == model))

    def running(self, model: str, besides: str = "") -> Decision | None:
        """What is done about this model now, if anything; with `besides`, what claimed earlier than that decision.

        Only the earlier claim counts, so of two that start together one goes on instead of both refusing for the other's sake.
        """
        query = select(*_FIELDS).where(_D.model == model, _D.state == "claimed", _D.id != besides).order_by(_D.claim_order).limit(1)
        if besides:
            other = DECISIONS.alias("other")
            mine = select(other.c.claim_order).where(other.c.id == besides).scalar_subquery()
            query = query.where(or_(mine.is_(None), _D.claim_order < mine))
        return next(iter(self._read(query)), None)

    def counts(self) -> dict[tuple[str, str, str], int]:
        """How many decisions there are, by model, act, and outcome; by state where they have no outcome yet."""
        said = func.coalesce(_D.outcome, _D.state)
        query = select(_D.model, _D.act, said, func.count()).group_by(_D.model, _D.act, said)
        with self._reading.connect() as connection:
            return {(model, act, outcome): count for model, act, outcome, count in connection.execute(query)}

    def last_finished(self, model: str, outcomes: Sequence[Outcome] = ("promoted", "rejected", "rolled_back")) -> Decision | None:
        """The decision with one of these outcomes that finished last in stream time."""
        query = select(*_FIELDS).where(_D.model == model, _D.state == "finished", _D.outcome.in_(outcomes))
        return next(iter(self._read(query.order_by(_D.finished_at_ms.desc(), _D.id.desc()).limit(1))), None)

    def last_alarm(self, model: str) -> Decision | None:
        """The decision that an alarm of this model came to last: one that trained, failed, or was refused for want of labels.

        One that repeats an earlier alarm is not it, but follows that one.
        """
        judged = or_(
            _D.outcome.in_(("promoted", "rejected", "failed")),
            and_(_D.outcome == "refused", _D.outcome_reason.startswith("TooFewLabels", autoescape=True)),
        )
        own = (_D.trigger.in_(("error", "evidently")), _D.evidence["follows"].as_string().is_(None))
        query = select(*_FIELDS).where(_D.model == model, _D.state == "finished", *own, judged)
        return next(iter(self._read(query.order_by(_D.requested_wall_ms.desc(), _D.id.desc()).limit(1))), None)

    def follow_ups(self, model: str, alarm: str) -> list[Decision]:
        """The decisions that follow that of an alarm, by its id: its follow-ups, and alarms that repeat it; oldest first."""
        mine = _D.evidence["follows"].as_string() == alarm
        return self._read(select(*_FIELDS).where(_D.model == model, mine).order_by(_D.requested_wall_ms, _D.id))

    def last_retrained(self, model: str) -> int | None:
        """When, in stream time, the last decision finished that was promoted, rejected or rolled back; None without one.

        An update does not count, nor the rejection of what was asked for by a champion's age or by hand: it changed nothing, and knows
        nothing of an alarm that comes after.
        """
        outcomes = ("promoted", "rejected", "rolled_back")
        idle = and_(_D.trigger.in_(("schedule", "manual")), _D.outcome == "rejected")
        query = select(func.max(_D.finished_at_ms)).where(_D.model == model, _D.act != "update", _D.outcome.in_(outcomes), not_(idle))
        with self._reading.connect() as connection:
            found: int | None = connection.scalar(query)
        return found

    def retrained_since(self, model: str, since_ms: int) -> list[int]:
        """When, in stream time after `since_ms`, decisions but updates that trained a model finished; ascending."""
        trained = (_D.model == model, _D.fits > 0, _D.act != "update", _D.finished_at_ms > since_ms)
        query = select(_D.finished_at_ms).where(*trained)
        with self._reading.connect() as connection:
            return list(connection.scalars(query.order_by(_D.finished_at_ms)))

    def frozen(self, model: str) -> Freeze | None:
        """The freeze that stands on this model, if any."""
        columns = [FREEZES.c[field.name] for field in fields(Freeze)]
        with self._reading.connect() as connection:
            row = connection.execute(select(*columns).where(FREEZES.c.model == model, FREEZES.c.ended_wall_ms.is_(None))).first()
        return None if row is None else Freeze(**row._asdict())

    def unclaimed(self, now_wall_ms: int, retry_after_ms: int) -> list[OutboxEvent]:
        """The events to emit now: of decisions nobody claimed, never emitted or not within `retry_after_ms`; oldest first."""
        due = or_(OUTBOX.c.emitted_wall_ms.is_(None), OUTBOX.c.emitted_wall_ms <= now_wall_ms - retry_after_ms)
        times = (_D.releases + _D.put_backs).label("times")
        query = select(_D.id, _D.model, _D.act, _D.trigger, _D.reason, times, OUTBOX.c.emits).join_from(DECISIONS, OUTBOX)
        query = query.where(_D.state == "requested", due).order_by(_D.requested_wall_ms, _D.id).limit(_OUTBOX_BATCH)
        with self._reading.connect() as connection:
            return [_event(row) for row in connection.execute(query)]

    def _read(self, query: Select[Any]) -> list[Decision]:
        with self._reading.connect() as connection:
            return [Decision(**row._asdict()) for row in connection.execute(query)]


def _event(row: Any) -> OutboxEvent:
    payload = {"decision_id": row.id, "model": row.model, "trigger": row.trigger, "reason": row.reason, "attempt": str(row.times + 1)}
    return OutboxEvent(row.id, row.model, row.act, payload, row.emits)
