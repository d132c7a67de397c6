"""The decisions of the loop and their outbox: an alarm makes one row, one run claims it, it ends once.

```
request ──► requested ──claim──► claimed ──finish──► finished (promoted, rejected, failed, refused, merged)
                │  ▲                │
                │  ├─release_stale──┤  (the run died; after `at_most` times: finished, failed)
                │  └─put_back───────┘  (a server was away; it is asked for again after a pause)
                └──finish──► finished (refused, merged)
```
While it is claimed, `mark` writes down each stage with what was found, so that another run goes on where a killed one was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from tidemill.stores.alerts import pause_ms
from tidemill.stores.decision_reader import DecisionReader
from tidemill.stores.decision_records import (
    FINDINGS_MAX_BYTES,
    Act,
    Decision,
    Ending,
    Freeze,
    OutboxEvent,
    Outcome,
    Stage,
    State,
    Trigger,
    decision_id,
    refuse_unless_json,
)
from tidemill.stores.insert_new import insert_new
from tidemill.stores.loop_tables import DECISIONS, FREEZES, OUTBOX
from tidemill.stores.publication_outbox import keep_decisions

__all__ = [
    "Act",
    "Decision",
    "DecisionStore",
    "Ending",
    "Freeze",
    "OutboxEvent",
    "Outcome",
    "Stage",
    "State",
    "Trigger",
    "decision_id",
    "insert_decision",
]

_D = DECISIONS.c
_AGAIN = {"state": "requested", "flow_run_id": None, "claimed_wall_ms": None, "claim_order": None}


def insert_decision(connection: Connection, decision: Decision) -> bool:
    """Write a decision and its outbox rows in the caller's transaction; False if the alarm has one already."""
    if not insert_new(connection, DECISIONS, [asdict(decision)], ["model", "alarm_key"]):
        return False
    connection.execute(insert(OUTBOX).values(decision_id=decision.id))
    keep_decisions(connection, [decision.id])
    return True


class DecisionStore(DecisionReader):
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

    def request(self, decision: Decision) -> bool:
        """Write the decision with its outbox row, both or neither; False if (model, alarm_key) exists."""
        with self._engine.begin() as connection:
            return insert_decision(connection, decision)

    def claim(self, decision_id: str, flow_run_id: str, wall_ms: int) -> bool:
        """Make the decision this run's own; False if another run has it or it is finished: end `Merged`.

        The run that holds the claim gets True again, so a retried task goes on.
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
        with self._engine.begin() as connection:
            taken = connection.execute(take).rowcount == 1
            if taken:
                keep_decisions(connection, [decision_id])
        return taken or self.renew(decision_id, flow_run_id, wall_ms)

    def renew(self, decision_id: str, flow_run_id: str, wall_ms: int) -> bool:
        """A sign of life of the run that holds the claim; False if it is not, or no longer, this run's. See `release_stale`."""
        alive = update(DECISIONS).where(_held(decision_id, flow_run_id)).values(alive_wall_ms=wall_ms)
        with self._engine.begin() as connection:
            return connection.execute(alive).rowcount == 1

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

    def mark(self, decision_id: str, flow_run_id: str, stage: Stage, wall_ms: int, findings: Mapping[str, Any] | None = None) -> bool:
        """Write down that a stage is reached, and what was found with it; a sign of life as well. False if the claim is not this run's.

        Raises:
            InputError: the findings are not JSON, or too long.
        """
        mine = _held(decision_id, flow_run_id)
        with self._engine.begin() as connection:
            row = connection.execute(select(_D.stages, _D.findings).where(mine)).first()
            if row is None:
                return False
            found = {**row.findings, **(findings or {})}
            refuse_unless_json(found, "findings", FINDINGS_MAX_BYTES)
            values = {"stages": {**row.stages, stage: wall_ms}, "findings": found, "alive_wall_ms": wall_ms}
            return connection.execute(update(DECISIONS).where(mine).values(values)).rowcount == 1

    def put_back(self, decision_id: str, flow_run_id: str, wall_ms: int, at_most: int = 100) -> bool:
        """Give the claim back because a server was away; it is asked for again after a pause that doubles from 5 s up to 15 min.

        A hundred times is a day, so that nobody has to be there when a server goes at night.

        False if the claim is not this run's, or has been given back `at_most` times: then the run ends it as failed.
        """
        mine = and_(_held(decision_id, flow_run_id), _D.put_backs < at_most)
        with self._engine.begin() as connection:
            put_backs = connection.scalar(select(_D.put_backs).where(mine))
            if put_backs is None:
                return False
            connection.execute(update(DECISIONS).where(mine).values({**_AGAIN, "put_backs": put_backs + 1}))
            later = update(OUTBOX).where(OUTBOX.c.decision_id == decision_id).values(emitted_wall_ms=wall_ms + pause_ms(put_backs + 1))
            connection.execute(later)
            keep_decisions(connection, [decision_id])
        return True

    def merge_waiting(self, now_ms: int, wall_ms: int) -> list[str]:
        """Of automatic decisions of one act, model and trigger that wait, all but the oldest end as merged; answers their ids.

        A burst of alarms is one retrain and not as many runs, of which all but one would be refused.
        """
        waiting = select(_D.id, _D.act, _D.model, _D.trigger).where(_D.state == "requested", _D.trigger.not_in(("manual", "upstream")))
        with self._reading.connect() as connection:
            rows = connection.execute(waiting.order_by(_D.requested_wall_ms, _D.id)).all()
        first: dict[tuple[str, str, str], str] = {}
        merged: list[str] = []
        for row in rows:
            oldest = first.setdefault((row.act, row.model, row.trigger), row.id)
            ending = Ending("merged", f"decision {oldest} was asked for before it and waits", now_ms, wall_ms, decided_by="guard")
            if oldest != row.id and self.finish(row.id, ending):
                merged.append(row.id)
        return merged

    def release_stale(self, silent_since_wall_ms: int, *, now_ms: int, wall_ms: int, at_most: int = 2) -> list[str]:
        """Take back the claims of runs without a sign of life since `silent_since_wall_ms`; returns their ids.

        The decision is asked for again at once; after `at_most` times it ends as failed (at stream time `now_ms`).
        """
        stale = and_(_D.state == "claimed", _D.alive_wall_ms < silent_since_wall_ms)
        reason = f"{at_most + 1} runs in a row stopped without an answer; see their logs in Prefect, then retrain by hand"
        given_up = _ended(Ending("failed", reason, now_ms, wall_ms, decided_by="relay"))
        again = {**_AGAIN, "releases": _D.releases + 1}
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

    def mark_emitted(self, decision_id: str, wall_ms: int) -> None:
        """Remember that the event went out; unless someone claims the decision it goes out again."""
        sent = update(OUTBOX).where(OUTBOX.c.decision_id == decision_id).values(emitted_wall_ms=wall_ms, emits=OUTBOX.c.emits + 1)
        with self._engine.begin() as connection:
            connection.execute(sent)

    def put_off(self, decision_id: str, wall_ms: int) -> None:
        """Look whether the event has to go out again as if it had done so now, though it has not."""
        with self._engine.begin() as connection:
            connection.execute(update(OUTBOX).where(OUTBOX.c.decision_id == decision_id).values(emitted_wall_ms=wall_ms))


def _held(decision_id: str, flow_run_id: str) -> Any:
    return and_(_D.id == decision_id, _D.state == "claimed", _D.flow_run_id == flow_run_id)


def _ended(ending: Ending) -> dict[str, object]:
    values = asdict(ending)
    moved = {"outcome_reason": values.pop("reason"), "finished_at_ms": values.pop("at_ms"), "finished_wall_ms": values.pop("wall_ms")}
    told = {name: value for name, value in values.items() if value is not None}  # what was known when it was asked for stays
    return {"state": "finished", **moved, **told}
