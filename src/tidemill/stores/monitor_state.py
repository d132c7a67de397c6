"""Where each monitor stands: its cursor and state, committed together with the alerts and decisions it came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from tidemill.errors import ConflictError
from tidemill.stores.alert_records import Alert, Conditions
from tidemill.stores.alerts import end_others, insert_alert
from tidemill.stores.cursors import reading
from tidemill.stores.decisions import Decision, insert_decision
from tidemill.stores.loop_tables import MONITOR_STATES

START = 0


@dataclass(frozen=True)
class Saved:
    """What a save made: the keys of new alerts, the ids of new decisions. What had been raised before is not among them."""

    alerts: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()


class MonitorStateStore:
    """Named JSON states with a cursor that only moves forward, on the engine of `open_loop`.

    A monitor loads, reads what lies behind its cursor, and saves the whole step at once. Killed before the save it does the step
    again from the same state, and after it goes on from the next: nothing is lost and nothing doubles.

    >>> import tempfile; from pathlib import Path; from tidemill.stores import Databases, open_loop
    >>> store = MonitorStateStore(open_loop(Databases(Path(tempfile.mkdtemp()))))
    >>> store.load("late:error")
    (0, None)
    >>> store.save("late:error", 0, 500, {"cusum": 1.5})
    Saved(alerts=(), decisions=())
    >>> store.load("late:error")
    (500, {'cusum': 1.5})
    >>> store.cursors()
    {'late:error': 500}
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def load(self, name: str) -> tuple[int, dict[str, Any] | None]:
        """The cursor and the state saved with it; (0, None) before the first save."""
        query = select(MONITOR_STATES.c.cursor, MONITOR_STATES.c.state).where(MONITOR_STATES.c.name == name)
        with self._reading.connect() as connection:
            row = connection.execute(query).first()
        return (START, None) if row is None else (row.cursor, row.state)

    def cursors(self) -> dict[str, int]:
        """Where each monitor stands, by its name: what moves on whenever a state is saved."""
        with self._reading.connect() as connection:
            rows = connection.execute(select(MONITOR_STATES.c.name, MONITOR_STATES.c.cursor).order_by(MONITOR_STATES.c.name))
            return {row.name: row.cursor for row in rows}

    def save(  # noqa: PLR0913 - all that one transaction holds; a wrapper around two of them would say less
        self,
        name: str,
        cursor_was: int,
        cursor: int,
        state: Mapping[str, object],
        *,
        alerts: Iterable[Alert] = (),
        decisions: Iterable[Decision] = (),
        conditions: Iterable[Conditions] = (),
    ) -> Saved:
        """Write the state, raise the alerts and request the decisions with their outbox rows, all in one transaction.

        By each of the `conditions` every open alert of its model and kind whose condition does not stand is over.

        Raises:
            ConflictError: the cursor is not `cursor_was` any more: another process did this step; load again.
            ValueError: `cursor` does not lie behind `cursor_was`.
        """
        if cursor <= cursor_was:
            raise ValueError(f"the cursor of {name!r} must move forward, not from {cursor_was} to {cursor}; save only after a step")
        with self._engine.begin() as connection:
            _advance(connection, name, (cursor_was, cursor), dict(state))
            raised = tuple(alert.key for alert in alerts if insert_alert(connection, alert))
            for each in conditions:
                end_others(connection, each)
            requested = tuple(decision.id for decision in decisions if insert_decision(connection, decision))
        return Saved(raised, requested)


def _advance(connection: Connection, name: str, move: tuple[int, int], state: dict[str, object]) -> None:
    """Compare-and-set of the cursor; a name never saved stands at 0."""
    was, now = move
    column = MONITOR_STATES.c
    found = connection.scalar(select(column.cursor).where(column.name == name))
    if (START if found is None else found) != was:
        raise ConflictError(f"monitor {name!r} stands at {START if found is None else found}, not at {was}; load it again")
    if found is None:
        connection.execute(insert(MONITOR_STATES).values(name=name, cursor=now, state=state))
    else:
        connection.execute(update(MONITOR_STATES).where(column.name == name).values(cursor=now, state=state))
