"""Silences: a person's word that nothing of a model is to be told for a while, with who said so, when and why."""

from __future__ import annotations

from sqlalchemy import Engine, insert, update

from tidemill.errors import NotFoundError
from tidemill.stores.alert_messages import standing_silences
from tidemill.stores.alert_records import Silence
from tidemill.stores.cursors import reading
from tidemill.stores.loop_tables import ALERT_SILENCES

_S = ALERT_SILENCES.c


class AlertSilences:
    """Silences on the engine of `open_loop`; those that ended stay, for the record.

    >>> import tempfile; from pathlib import Path; from tidemill.stores import Databases, open_loop
    >>> silences = AlertSilences(open_loop(Databases(Path(tempfile.mkdtemp()))))
    >>> silences.begin("late", "", "ann", "a migration", from_wall_ms=0, until_wall_ms=100)
    1
    >>> [one.reason for one in silences.standing(wall_ms=99)], silences.standing(wall_ms=100)
    (['a migration'], ())
    >>> silences.end(1, "bob", wall_ms=50); silences.standing(wall_ms=50)
    ()
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def begin(self, model: str, kind: str, by: str, reason: str, *, from_wall_ms: int, until_wall_ms: int) -> int:  # noqa: PLR0913 - the row
        """Tell nothing of a model, or of one kind of it, until a wall time; answers the silence's number.

        Raises:
            ValueError: it would end before it begins.
        """
        if until_wall_ms <= from_wall_ms:
            raise ValueError(f"a silence until {until_wall_ms} would end before it begins, at {from_wall_ms}")
        values = {"model": model, "kind": kind, "by": by, "reason": reason, "from_wall_ms": from_wall_ms, "until_wall_ms": until_wall_ms}
        with self._engine.begin() as connection:
            (number,) = connection.execute(insert(ALERT_SILENCES).values(values)).inserted_primary_key or (0,)
        return int(number)

    def end(self, number: int, by: str, wall_ms: int) -> None:
        """End a silence now.

        Raises:
            NotFoundError: none of that number stands.
        """
        mine = update(ALERT_SILENCES).where(_S.number == number, _S.ended_wall_ms.is_(None), _S.until_wall_ms > wall_ms)
        with self._engine.begin() as connection:
            if not connection.execute(mine.values(ended_by=by, ended_wall_ms=wall_ms)).rowcount:
                raise NotFoundError("standing silence", str(number), [str(one.number) for one in standing_silences(connection, wall_ms)])

    def standing(self, wall_ms: int) -> tuple[Silence, ...]:
        """Those that stand at a wall time, in the order in which they began."""
        with self._reading.connect() as connection:
            return standing_silences(connection, wall_ms)
