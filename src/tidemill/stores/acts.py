"""What people and programs have done to the system, each act once, with who did it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Engine, insert, select

from tidemill.stores.cursors import reading
from tidemill.stores.loop_tables import OPERATOR_ACTS

_A = OPERATOR_ACTS.c


@dataclass(frozen=True)
class Act:
    """One act.

    Args:
        by: the name of the key, or of the user of the command line; on an open server who they said they are, or "anyone".
        via: `key PREFIX`, `page`, or `cli`.
        act: what was done, e.g. `freeze`, or the route, e.g. `POST /ui/alerts/ack`.
        about: a model, a key, whatever it was done to.
        detail: what else was said, e.g. the reason.
        wall_ms: when.
        status: of the answer over HTTP; 0 elsewhere.
    """

    by: str
    via: str
    act: str
    about: str
    detail: str
    wall_ms: int
    status: int = 0


class ActStore:
    """The acts on the engine of `open_loop`; none is ever changed.

    >>> import tempfile; from pathlib import Path; from tidemill.stores import Databases, open_loop
    >>> acts = ActStore(open_loop(Databases(Path(tempfile.mkdtemp()))))
    >>> acts.record(Act("ann", "cli", "freeze", "late", "a holiday", 1))
    >>> [(one.by, one.act) for one in acts.recent()]
    [('ann', 'freeze')]
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def record(self, act: Act) -> None:
        """Keep an act."""
        with self._engine.begin() as connection:
            connection.execute(insert(OPERATOR_ACTS).values(asdict(act)))

    def recent(self, limit: int = 50) -> list[Act]:
        """The newest acts, the newest first."""
        columns = [_A[name] for name in Act.__dataclass_fields__]
        with self._reading.connect() as connection:
            return [Act(*row) for row in connection.execute(select(*columns).order_by(_A.number.desc()).limit(limit))]
