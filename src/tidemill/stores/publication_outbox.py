"""What of alerts and decisions waits to be published: written in the transaction that makes the change, and only if it is published.

A decision is kept as it was after each change of its state, since the next may come before the last was published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import orjson
from sqlalchemy import Connection, insert, select

from tidemill.stores.decision_records import Decision, State
from tidemill.stores.loop_tables import DECISIONS, PUBLICATION_OUTBOX, PUBLICATIONS

_NAMES = [field.name for field in fields(Decision)]
_PLACE: dict[State, int] = {"requested": 0, "claimed": 1, "finished": 2}


def keep_alert(connection: Connection, key: str, model: str, alert: Mapping[str, object]) -> None:
    """Keep an alert until it is published."""
    if _is_published(connection, "alerts"):
        _keep(connection, "alerts", key, model, alert)


def keep_decisions(connection: Connection, ids: Sequence[str]) -> None:
    """Keep decisions as they are now until they are published; called at each change of their state."""
    if ids and _is_published(connection, "decisions"):
        times = DECISIONS.c.releases + DECISIONS.c.put_backs
        query = select(times, *(DECISIONS.c[name] for name in _NAMES)).where(DECISIONS.c.id.in_(ids)).order_by(DECISIONS.c.id)
        for begun_anew, *values in connection.execute(query).all():
            decision = dict(zip(_NAMES, values, strict=True))
            change = 2 * begun_anew + _PLACE[decision["state"]]  # a claim that is taken or given back begins the states anew
            _keep(connection, "decisions", f"{decision['id']}.{change}", decision["model"], decision | {"change": change})


def _is_published(connection: Connection, kind: str) -> bool:
    return connection.scalar(select(PUBLICATIONS.c.kind).where(PUBLICATIONS.c.kind == kind)) is not None


def _keep(connection: Connection, kind: str, record_id: str, model: str, body: Mapping[str, object]) -> None:
    row = {"kind": kind, "id": record_id, "model": model, "body": orjson.dumps(body).decode()}
    connection.execute(insert(PUBLICATION_OUTBOX).values(row))
