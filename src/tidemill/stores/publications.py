"""Publications: which there are, how far each has come, and who is at it.

```
predictions   the cursor: a prediction's id ───────────────► moves on once the target has acknowledged
alerts        rows of an outbox, written with the change ──► deleted once the target has acknowledged
decisions
```
A process holds a publication for some seconds at a time, so that of several one sends. Should two send all the same, for one of them stood
still, some messages come twice and none is lost, as nothing moves on before it has arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, delete, func, insert, or_, select, update

from tidemill.errors import ConflictError
from tidemill.stores.cursors import reading
from tidemill.stores.loop_tables import PUBLICATION_OUTBOX, PUBLICATIONS

_MAX_ERROR = 500
_P, _O = PUBLICATIONS.c, PUBLICATION_OUTBOX.c


@dataclass(frozen=True, slots=True)
class Kept:
    """An alert, or a decision after a change of its state, that waits; `body` is a JSON object."""

    number: int
    id: str
    model: str
    body: str


@dataclass(frozen=True, slots=True)
class Passed:
    """How many messages the target has, how many it will never take, and when that was, wall time."""

    sent: int
    refused: int
    wall_ms: int


@dataclass(frozen=True, slots=True)
class PublicationStanding:
    """How a publication stands; `cursor` is of predictions alone, `kept` of the others; `last_error` is "" once all is well."""

    cursor: int
    sent: int
    refused: int
    kept: int
    last_sent_wall_ms: int | None
    last_error: str


_KEPT = select(*(_O[name] for name in Kept.__slots__)).order_by(_O.number)


class PublicationStore:
    """The publications of a project, on the engine of `open_loop`.

    >>> import tempfile; from pathlib import Path; from tidemill.stores import Databases, open_loop
    >>> store = PublicationStore(open_loop(Databases(Path(tempfile.mkdtemp()))))
    >>> store.begin({"predictions": 7})
    >>> store.advance("predictions", 7, 9, Passed(sent=2, refused=0, wall_ms=1_000))
    >>> store.cursor("predictions"), store.standing()["predictions"].sent
    (9, 2)
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def begin(self, cursors: Mapping[str, int]) -> None:
        """Publish these kinds and no others; one that is new begins with what comes after its cursor, the others go on where they are."""
        with self._engine.begin() as connection:
            there = set(connection.scalars(select(_P.kind)))
            gone = there - cursors.keys()
            connection.execute(delete(PUBLICATIONS).where(_P.kind.in_(gone)))
            connection.execute(delete(PUBLICATION_OUTBOX).where(_O.kind.in_(gone)))
            for kind in cursors.keys() - there:
                connection.execute(insert(PUBLICATIONS).values(kind=kind, cursor=cursors[kind]))

    def hold(self, kind: str, holder: str, wall_ms: int, hold_ms: int) -> bool:
        """Be the one that publishes it for so long; False while another process is, or when nobody publishes it any more."""
        free = or_(
            _P.holder == holder,
            _P.held_until_wall_ms <= wall_ms,
            _P.held_until_wall_ms > wall_ms + hold_ms,  # nobody holds for longer: a clock was set back
        )
        take = update(PUBLICATIONS).where(_P.kind == kind, free).values(holder=holder, held_until_wall_ms=wall_ms + hold_ms)
        with self._engine.begin() as connection:
            return connection.execute(take).rowcount == 1

    def let_go(self, kind: str, holder: str) -> None:
        """Let another process have it at once."""
        with self._engine.begin() as connection:
            connection.execute(update(PUBLICATIONS).where(_P.kind == kind, _P.holder == holder).values(held_until_wall_ms=0))

    def cursor(self, kind: str) -> int:
        """The id up to which all is published.

        Raises:
            ConflictError: it is not published any more: another process has another project file.
        """
        with self._reading.connect() as connection:
            found = connection.scalar(select(_P.cursor).where(_P.kind == kind))
        if found is None:
            raise ConflictError(f"another process with another project file has ended the publication of {kind}; end one of them")
        return int(found)

    def advance(self, kind: str, before: int, after: int, passed: Passed) -> None:
        """Move the cursor past what has arrived, and what never will.

        Raises:
            ConflictError: the cursor is not at `before` any more: another process has gone on.
        """
        move = update(PUBLICATIONS).where(_P.kind == kind, _P.cursor == before)
        with self._engine.begin() as connection:
            if connection.execute(move.values(cursor=after, **_figures(passed))).rowcount != 1:
                raise ConflictError(f"the publication of {kind} does not stand at {before} any more; another process has gone on")

    def kept(self, kind: str, limit: int) -> list[Kept]:
        """What waits, in the order in which it came to be."""
        with self._reading.connect() as connection:
            return [Kept(*row) for row in connection.execute(_KEPT.where(_O.kind == kind).limit(limit))]

    def drop(self, kind: str, numbers: Sequence[int], passed: Passed) -> None:
        """What has arrived, or never will, waits no longer."""
        with self._engine.begin() as connection:
            connection.execute(delete(PUBLICATION_OUTBOX).where(_O.number.in_(numbers)))
            connection.execute(update(PUBLICATIONS).where(_P.kind == kind).values(_figures(passed)))

    def tell(self, kind: str, error: str) -> None:
        """Note what keeps it from going on; "" for nothing."""
        with self._engine.begin() as connection:
            connection.execute(update(PUBLICATIONS).where(_P.kind == kind).values(last_error=error[:_MAX_ERROR]))

    def standing(self) -> dict[str, PublicationStanding]:
        """By kind, how each stands that was begun."""
        kept = select(func.count()).select_from(PUBLICATION_OUTBOX).where(_O.kind == _P.kind).scalar_subquery()
        query = select(_P.kind, _P.cursor, _P.sent, _P.refused, kept, _P.last_sent_wall_ms, _P.last_error)
        with self._reading.connect() as connection:
            return {kind: PublicationStanding(*figures) for kind, *figures in connection.execute(query)}


def _figures(passed: Passed) -> dict[str, object]:
    figures: dict[str, object] = {"sent": _P.sent + passed.sent, "refused": _P.refused + passed.refused}
    return figures | {"last_sent_wall_ms": passed.wall_ms} if passed.sent else figures
