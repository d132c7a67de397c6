"""Reactions and their outbox: how far they have looked, what they came to, and what of it has been carried out.

```
take (moves the cursor) ──► waiting ──mark_sent──► sent
                             │  ▲ └──mark_refused──┐
            mark_unavailable └──┘  again, with growing pauses; given up after some refusals, with an alert
```
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, bindparam, delete, func, select, update

from tidemill.clock import DAY_MS
from tidemill.errors import ConflictError
from tidemill.stores.alerts import Alert, insert_alert, pause_ms
from tidemill.stores.cursors import reading
from tidemill.stores.insert_new import insert_new
from tidemill.stores.loop_tables import REACTION_CURSOR, REACTION_OUTBOX, REACTIONS
from tidemill.streams import Position

MOST_REFUSALS = 5
_KEPT_WALL_MS = 7 * DAY_MS
_MAX_ERROR = 500
_AT_ONCE = 500  # keys of one statement
_R, _O = REACTIONS.c, REACTION_OUTBOX.c


@dataclass(frozen=True, slots=True)
class Match:
    """An event that a reaction follows.

    Args:
        id: made up for it, and the same at every try: whoever is told twice can know.
        reaction: whose.
        event_id: of the event; with `at_ms` it tells events apart, and a reaction follows each once.
        once_key: the `once_per` values as text.
        at_ms: when the event became known.
        until_ms: up to when this one is the only one of its key.
        body: what is told, a JSON object.
    """

    id: str
    reaction: str
    event_id: str
    once_key: str
    at_ms: int
    until_ms: int
    body: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A match to carry out now, and how often it was tried."""

    id: str
    reaction: str
    event_id: str
    at_ms: int
    body: str
    attempts: int


@dataclass(frozen=True, slots=True)
class ReactionStanding:
    """How a reaction stands; `last_error` is "" once the last try went well."""

    matches: int
    sent: int
    waiting: int
    given_up: int
    last_error: str


# Asked at every round, and built here once: building a statement costs as much as running it.
_DUE = (
    select(*(_O[name] for name in Waiting.__slots__))
    .join(REACTIONS, _R.name == _O.reaction)
    .where(_O.reaction == bindparam("name"), _O.ended_wall_ms.is_(None))
    .where(_O.next_attempt_wall_ms <= bindparam("wall_ms"), _R.next_attempt_wall_ms <= bindparam("wall_ms"))
    .order_by(_O.next_attempt_wall_ms, _O.at_ms, _O.id)
    .limit(bindparam("most"))
)


class ReactionStore:
    """The reactions of a project, on the engine of `open_loop`.

    >>> import tempfile; from pathlib import Path; from tidemill.stores import Databases, open_loop
    >>> store, begin, end = ReactionStore(open_loop(Databases(Path(tempfile.mkdtemp())))), Position({}), Position({"taps": {"0": 9}})
    >>> store.begin(["dear"], begin)
    >>> store.take(begin, end, [Match("m1", "dear", "t9", '["a"]', at_ms=5, until_ms=65, body="{}")])
    >>> store.held("dear", ['["a"]', '["b"]'])
    {'["a"]': 65}
    >>> [waiting.event_id for waiting in store.due("dear", wall_ms=1_000)]
    ['t9']
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def begin(self, names: Iterable[str], position: Position) -> None:
        """Let reactions that are new look at what comes after a position; the others go on where they are."""
        with self._engine.begin() as connection:
            insert_new(connection, REACTION_CURSOR, [{"id": 0, "token": position.token}])
            for name in names:
                insert_new(connection, REACTIONS, [{"name": name, "since": position.token}])

    def leave(self) -> None:
        """Forget how far reactions have looked: all of them begin anew, each where the next `begin` says."""
        if self.cursor() is not None:
            with self._engine.begin() as connection:
                connection.execute(delete(REACTION_CURSOR))
                connection.execute(update(REACTIONS).values(since=Position({}).token))

    def cursor(self) -> Position | None:
        """How far all reactions have looked; None before `begin`."""
        with self._reading.connect() as connection:
            token = connection.scalar(select(REACTION_CURSOR.c.token))
        return None if token is None else Position.from_token(token)

    def since(self) -> Mapping[str, Position]:
        """By reaction, the position after which it looks at events."""
        with self._reading.connect() as connection:
            return {name: Position.from_token(token) for name, token in connection.execute(select(_R.name, _R.since))}

    def held(self, reaction: str, keys: Sequence[str]) -> dict[str, int]:
        """By key, up to when an earlier match is the only one of it."""
        query = select(_O.once_key, func.max(_O.until_ms)).where(_O.reaction == reaction).group_by(_O.once_key)
        found: dict[str, int] = {}
        with self._reading.connect() as connection:
            for begin in range(0, len(keys), _AT_ONCE):
                rows = connection.execute(query.where(_O.once_key.in_(keys[begin : begin + _AT_ONCE])))
                found |= {key: until_ms for key, until_ms in rows}
        return found

    def take(self, before: Position, after: Position, matches: Sequence[Match]) -> None:
        """Move the cursor and keep the matches until they are carried out, both or neither.

        Raises:
            ConflictError: the cursor is not at `before` any more: another process did this step.
        """
        move = update(REACTION_CURSOR).where(REACTION_CURSOR.c.token == before.token).values(token=after.token)
        with self._engine.begin() as connection:
            if connection.execute(move).rowcount != 1:
                raise ConflictError(f"the reactions do not stand at {before.token} any more; another process has gone on")
            for reaction in {match.reaction for match in matches}:
                rows = [asdict(match) for match in matches if match.reaction == reaction]
                new = insert_new(connection, REACTION_OUTBOX, rows, ["reaction", "event_id", "at_ms"])
                _count(connection, reaction, matches=_R.matches + new)

    def due(self, reaction: str, wall_ms: int, limit: int = 20) -> list[Waiting]:
        """What to carry out now, oldest first; none while the receiver is waited for."""
        with self._reading.connect() as connection:
            return [Waiting(*row) for row in connection.execute(_DUE, {"name": reaction, "wall_ms": wall_ms, "most": limit})]

    def mark_sent(self, waiting: Waiting, wall_ms: int) -> None:
        """It has arrived: never send it again."""
        with self._engine.begin() as connection:
            if _end(connection, waiting, wall_ms):
                _count(connection, waiting.reaction, sent=_R.sent + 1, failures=0, last_error="")

    def mark_unavailable(self, waiting: Waiting, error: str, wall_ms: int) -> None:
        """The receiver did not answer as it should: it is left alone for a while, and this one is tried after the others."""
        with self._engine.begin() as connection:
            failures = connection.scalar(select(_R.failures).where(_R.name == waiting.reaction)) or 0
            _try_again(connection, waiting, wall_ms)
            next_ms = wall_ms + pause_ms(failures + 1)
            _count(connection, waiting.reaction, failures=failures + 1, next_attempt_wall_ms=next_ms, last_error=error[:_MAX_ERROR])

    def mark_refused(self, waiting: Waiting, error: str, wall_ms: int) -> bool:
        """The receiver does not want this one; whether it is given up now, with an alert: one a reaction and day of stream time."""
        with self._engine.begin() as connection:
            _count(connection, waiting.reaction, last_error=error[:_MAX_ERROR])
            if waiting.attempts + 1 < MOST_REFUSALS:
                _try_again(connection, waiting, wall_ms)
                return False
            if _end(connection, waiting, wall_ms):
                _count(connection, waiting.reaction, given_up=_R.given_up + 1)
                insert_alert(connection, _alert(waiting, error))
        return True

    def forget(self, now_ms: int, wall_ms: int) -> int:
        """Drop what ended a week ago and holds no key any more at stream time `now_ms`; answers how many."""
        old = delete(REACTION_OUTBOX).where(_O.ended_wall_ms < wall_ms - _KEPT_WALL_MS, _O.until_ms <= now_ms)
        with self._engine.begin() as connection:
            return connection.execute(old).rowcount

    def standing(self) -> dict[str, ReactionStanding]:
        """By name, how each reaction stands that was ever begun."""
        waiting = select(_O.reaction, func.count().label("n")).where(_O.ended_wall_ms.is_(None)).group_by(_O.reaction).subquery()
        query = select(_R.name, _R.matches, _R.sent, func.coalesce(waiting.c.n, 0), _R.given_up, _R.last_error)
        with self._reading.connect() as connection:
            rows = connection.execute(query.outerjoin(waiting, waiting.c.reaction == _R.name))
            return {name: ReactionStanding(*figures) for name, *figures in rows}


def _end(connection: Connection, waiting: Waiting, wall_ms: int) -> bool:
    row = update(REACTION_OUTBOX).where(_O.id == waiting.id, _O.ended_wall_ms.is_(None))
    return connection.execute(row.values(ended_wall_ms=wall_ms)).rowcount == 1


def _try_again(connection: Connection, waiting: Waiting, wall_ms: int) -> None:
    attempts = waiting.attempts + 1
    values = {"attempts": attempts, "next_attempt_wall_ms": wall_ms + pause_ms(attempts)}
    connection.execute(update(REACTION_OUTBOX).where(_O.id == waiting.id).values(values))


def _count(connection: Connection, reaction: str, **values: object) -> None:
    connection.execute(update(REACTIONS).where(_R.name == reaction).values(values))


def _alert(waiting: Waiting, error: str) -> Alert:
    return Alert(
        key=f"reaction:{waiting.reaction}:{waiting.at_ms // DAY_MS}",
        model=waiting.reaction,
        severity="warning",
        title=f"reaction {waiting.reaction} was refused",
        body=f"to event {waiting.event_id}, {MOST_REFUSALS} times: {error[:_MAX_ERROR]}; see `tidemill reactions`",
        link="",
        at_ms=waiting.at_ms,
    )
