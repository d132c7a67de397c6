"""The decisions of the loop and their outbox: an alarm makes one row, one run claims it, it ends once.

```
request ──► requested ──claim──► claimed ──finish──► finished (promoted, rejected, failed, refused, merged)
                │  ▲                │
                │  └─release_stale──┘  (the run died; after `at_most` times: finished, failed)
                └──finish──► finished (refused, merged)
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, func, insert, or_, select, update

from tidemill.errors import NotFoundError
from tidemill.stores.cursors import reading
from tidemill.stores.decision_records import Decision, Ending, Freeze, OutboxEvent, Outcome, State, Trigger, decision_id
from tidemill.stores.insert_new import insert_new
from tidemill.stores.loop_tables import DECISIONS, FREEZES, OUTBOX
from tidemill.stores.publication_outbox import keep_decisions

__all__ = [
    "Decision",
    "DecisionStore",
    "Ending",
    "Freeze",
    "OutboxEvent",
    "Outcome",
    "State",
    "Trigger",
    "decision_id",
    "insert_decision",
]

_D = DECISIONS.c
_FIELDS = [_D[field.name] for field in fields(Decision)]
_OUTBOX_BATCH = 100


def insert_decision(connection: Connection, decision: Decision) -> bool:
    """Write a decision and its outbox rows in the caller's transaction; False if the alarm has one already."""
    if not insert_new(connection, DECISIONS, [asdict(decision)], ["model", "alarm_key"]):
        return False
    connection.execute(insert(OUTBOX).values(decision_id=decision.id))
    keep_decisions(connection, [decision.id])
    return True


class DecisionStore:
    """Decisions, outbox and freezes on the engine of `open_loop`.

    >>> import tempfile; from pathlib import Path; from tidemill.stores import Databases, open_loop
    >>> store = DecisionStore(open_loop(Databases(Path(tempfile.mkdtemp()))))
    >>> decision = Decision("d1", "late", "error", "cusum:v1:900", "errors rose", requested_at_ms=900, requested_wall_ms=5)
    >>> store.request(decision), store.request(decision)
    (True, False)
    >>> store.claim("d1", "run-a", 6), store.claim("d1", "run-b", 6)
    (True, False)
    >>> store.finish("d1", Ending("promoted", "better", at_ms=950, wall_ms=9, to_version="2", fits=1), "run-a"), store.get("d1").state
    (True, 'finished')
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def request(self, decision: Decision) -> bool:
        """Write the decision with its outbox row, both or neither; False if (model, alarm_key) exists."""
        with self._engine.begin() as connection:
            return insert_decision(connection, decision)

    def claim(self, decision_id: str, flow_run_id: str, wall_ms: int) -> bool:
        """Make the decision this run's own; False if another run has it or it is finished: end `Merged`.

        The run that holds the claim gets True again, so a retried task goes on, and each call is its sign of life.
        """
        if not flow_run_id:
            raise ValueError("a claim needs the id of its flow run; by hand, make one up")
        other = DECISIONS.alias("other")
        order = select(func.coalesce(func.max(other.c.claim_order), 0) + 1).scalar_subquery()
        take = (
            update(DECISIONS)
            .where(_D.id == decision_id, _D.state == "requested")
            .values(state="claimed", flow_run_id=flow_run_id, claimed_wall_ms=wall_ms, alive_wall_ms=wall_ms, claim_order=order)
        )
        renew = update(DECISIONS).where(_held(decision_id, flow_run_id)).values(alive_wall_ms=wall_ms)
        with self._engine.begin() as connection:
            taken = connection.execute(take).rowcount == 1
            if taken:
                keep_decisions(connection, [decision_id])
            return taken or connection.execute(renew).rowcount == 1

    def finish(self, decision_id: str, ending: Ending, flow_run_id: str = "") -> bool:
        """End the decision once; False if it was not this run's to end (finished already, or the claim was taken back).

        A claimed decision is ended by the run that holds it. One nobody claimed can only be refused or merged.
        """
        mine = _held(decision_id, flow_run_id)
        if ending.outcome in ("refused", "merged"):
            mine = or_(mine, and_(_D.id == decision_id, _D.state == "requested"))
        with self._engine.begin() as connection:
            ended = connection.execute(update(DECISIONS).where(mine).values(_ended(ending))).rowcount == 1
            if ended:
                keep_decisions(connection, [decision_id])
            return ended

    def get(self, decision_id: str) -> Decision:
        """The decision.

        Raises:
            NotFoundError: there is none with this id.
        """
        found = self._read(select(*_FIELDS).where(_D.id == decision_id))
        if not found:
            raise NotFoundError("decision", decision_id)
        return found[0]

    def recent(self, model: str | None = None, limit: int = 50) -> list[Decision]:
        """The newest decisions first, of one model or of all."""
        query = select(*_FIELDS).order_by(_D.requested_wall_ms.desc(), _D.id.desc()).limit(limit)
        return self._read(query if model is None else query.where(_D.model == model))

    def running(self, model: str, besides: str = "") -> Decision | None:
        """The retrain of this model that runs now, if any; with `besides`, one that claimed earlier than that decision.

        Only the earlier claim counts, so of two that start together one goes on instead of both refusing for the other's sake.
        """
        query = select(*_FIELDS).where(_D.model == model, _D.state == "claimed", _D.id != besides).order_by(_D.claim_order).limit(1)
        if besides:
            other = DECISIONS.alias("other")
            mine = select(other.c.claim_order).where(other.c.id == besides).scalar_subquery()
            query = query.where(or_(mine.is_(None), _D.claim_order < mine))
        return next(iter(self._read(query)), None)

    def last_finished(self, model: str, outcomes: Sequence[Outcome] = ("promoted", "rejected")) -> Decision | None:
        """The decision with one of these outcomes that finished last in stream time."""
        query = select(*_FIELDS).where(_D.model == model, _D.state == "finished", _D.outcome.in_(outcomes))
        return next(iter(self._read(query.order_by(_D.finished_at_ms.desc(), _D.id.desc()).limit(1))), None)

    def retrained_since(self, model: str, since_ms: int) -> list[int]:
        """When, in stream time after `since_ms`, decisions that trained a model finished; ascending."""
        query = select(_D.finished_at_ms).where(_D.model == model, _D.fits > 0, _D.finished_at_ms > since_ms)
        with self._reading.connect() as connection:
            return list(connection.scalars(query.order_by(_D.finished_at_ms)))

    def release_stale(self, silent_since_wall_ms: int, *, now_ms: int, wall_ms: int, at_most: int = 2) -> list[str]:
        """Take back the claims of runs without a sign of life since `silent_since_wall_ms`; returns their ids.

        The decision is asked for again at once; after `at_most` times it ends as failed (at stream time `now_ms`).
        """
        stale = and_(_D.state == "claimed", _D.alive_wall_ms < silent_since_wall_ms)
        reason = f"{at_most + 1} runs in a row stopped without an answer; see their logs in Prefect, then retrain by hand"
        given_up = _ended(Ending("failed", reason, now_ms, wall_ms))
        again = {"state": "requested", "flow_run_id": None, "claimed_wall_ms": None, "claim_order": None, "releases": _D.releases + 1}
        with self._engine.begin() as connection:
            ids = list(connection.scalars(select(_D.id).where(stale).order_by(_D.id)))
            connection.execute(update(DECISIONS).where(stale, _D.releases >= at_most).values(given_up))
            connection.execute(update(DECISIONS).where(stale).values(again))
            connection.execute(update(OUTBOX).where(OUTBOX.c.decision_id.in_(ids)).values(emitted_wall_ms=None))
            keep_decisions(connection, ids)
        return ids

    def freeze(self, model: str, by: str, reason: str, wall_ms: int) -> bool:
        """Stop retraining this model; False if it is frozen already, and that freeze stands."""
        row = {"model": model, "by": by, "reason": reason, "wall_ms": wall_ms}
        with self._engine.begin() as connection:
            return insert_new(connection, FREEZES, [row]) == 1

    def unfreeze(self, model: str, by: str, wall_ms: int) -> bool:
        """Let this model be retrained again; False if it was not frozen."""
        standing = and_(FREEZES.c.model == model, FREEZES.c.ended_wall_ms.is_(None))
        with self._engine.begin() as connection:
            return connection.execute(update(FREEZES).where(standing).values(ended_by=by, ended_wall_ms=wall_ms)).rowcount == 1

    def frozen(self, model: str) -> Freeze | None:
        """The freeze that stands on this model, if any."""
        columns = [FREEZES.c[field.name] for field in fields(Freeze)]
        with self._reading.connect() as connection:
            row = connection.execute(select(*columns).where(FREEZES.c.model == model, FREEZES.c.ended_wall_ms.is_(None))).first()
        return None if row is None else Freeze(**row._asdict())

    def unclaimed(self, now_wall_ms: int, retry_after_ms: int) -> list[OutboxEvent]:
        """The events to emit now: of decisions nobody claimed, never emitted or not within `retry_after_ms`; oldest first."""
        due = or_(OUTBOX.c.emitted_wall_ms.is_(None), OUTBOX.c.emitted_wall_ms <= now_wall_ms - retry_after_ms)
        query = select(_D.id, _D.model, _D.trigger, _D.reason, _D.releases, OUTBOX.c.emits).join_from(DECISIONS, OUTBOX)
        query = query.where(_D.state == "requested", due).order_by(_D.requested_wall_ms, _D.id).limit(_OUTBOX_BATCH)
        with self._reading.connect() as connection:
            return [_event(row) for row in connection.execute(query)]

    def mark_emitted(self, decision_id: str, wall_ms: int) -> None:
        """Remember that the event went out; unless someone claims the decision it goes out again."""
        sent = update(OUTBOX).where(OUTBOX.c.decision_id == decision_id).values(emitted_wall_ms=wall_ms, emits=OUTBOX.c.emits + 1)
        with self._engine.begin() as connection:
            connection.execute(sent)

    def _read(self, query: Select[Any]) -> list[Decision]:
        with self._reading.connect() as connection:
            return [Decision(**row._asdict()) for row in connection.execute(query)]


def _held(decision_id: str, flow_run_id: str) -> Any:
    return and_(_D.id == decision_id, _D.state == "claimed", _D.flow_run_id == flow_run_id)


def _ended(ending: Ending) -> dict[str, object]:
    values = asdict(ending)
    moved = {"outcome_reason": values.pop("reason"), "finished_at_ms": values.pop("at_ms"), "finished_wall_ms": values.pop("wall_ms")}
    return {"state": "finished", **moved, **values}


def _event(row: Any) -> OutboxEvent:
    payload = {"decision_id": row.id, "model": row.model, "trigger": row.trigger, "reason": row.reason, "attempt": str(row.releases + 1)}
    return OutboxEvent(row.id, row.model, payload, row.emits)
