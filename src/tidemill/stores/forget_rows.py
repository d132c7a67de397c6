"""Deleting what the databases of a home hold of an entity beside tiles and events, and the bytes of what was deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import orjson

from tidemill.errors import LATE, NotReadyError
from tidemill.stores.copy_progress import refuse_small_disk
from tidemill.stores.cursors import Cursor
from tidemill.stores.forget_match import Entity, as_text
from tidemill.stores.sqlite import BUSY_S

_WANTED = "select it from wanted"  # a table of the connection alone: the offsets, keys or ids that are asked for
_WITH_TEXT = (
    "select id, model, texts from prediction_text join prediction on id = prediction_id where instr(cast(texts as blob), cast(? as blob))"
)

_NOBODYS = (
    "insert into prediction (id, model, key, at_ms, made_wall_ms, position, digest, request, vector) "
    "values (?, '', '', 0, 0, '{}', '', '{}', x'')"
)


def dead_letters_of(state: Path, entity: Entity, names: Mapping[str, list[str]]) -> dict[str, set[int]]:
    """By stream, the log offsets of the dead letters of an entity.

    One that is no valid event is its when it mentions the value at all: nobody can tell what it was to be.

    Args:
        state: the database.
        entity: whose.
        names: by stream, what the field is called in its events.
    """
    found: dict[str, set[int]] = {}
    with _reading(state) as cursor:
        for offset, stream, reason, detail, payload in cursor.execute(
            "select log_offset, stream, reason, detail, payload from dead_letter"
        ):
            mentioned = reason != LATE and entity.is_mentioned(f"{payload} {detail}")
            if mentioned or entity.is_in(payload, names.get(stream, [])):
                found.setdefault(stream, set()).add(offset)
    return found


def count_dead_letters(state: Path, stream: str, offsets: Collection[int]) -> int:
    """How many dead letters of a stream are of the events at these log offsets."""
    with _reading(state) as cursor:
        _want(cursor, offsets)
        query = f"select count(*) from dead_letter where stream = ? and log_offset in ({_WANTED}) and payload != ''"
        return int(cursor.execute(query, (stream,)).fetchone()[0])


def count_outcomes(state: Path, model: str, offsets: Collection[int]) -> int:
    """How many outcomes of a model were told by its label's events at these log offsets."""
    with _reading(state) as cursor:
        _want(cursor, offsets)
        query = f"select count(*) from outcome where model = ? and log_offset in ({_WANTED})"
        return int(cursor.execute(query, (model,)).fetchone()[0])


def forget_outcomes(state: Path, model: str, offsets: Collection[int]) -> None:
    """Delete the outcomes of a model that its label's events at these log offsets told."""
    with _writing(state) as cursor:
        _want(cursor, offsets)
        cursor.execute(f"delete from outcome where model = ? and log_offset in ({_WANTED})", (model,))


def forget_dead_letters(state: Path, stream: str, offsets: Collection[int]) -> None:
    """Empty the dead letters of a stream at these log offsets; that there were some stays, as the books count them."""
    emptied = "update dead_letter set detail = 'forgotten', payload = ''"
    with _writing(state) as cursor:
        _want(cursor, offsets)
        cursor.execute(f"{emptied} where stream = ? and log_offset in ({_WANTED})", (stream,))


def predictions_of(serving: Path, entity: Entity, keys: Sequence[str]) -> dict[int, str]:
    """By id, the models of the predictions whose request or texts hold the value, or whose label has one of these keys."""
    with _reading(serving) as cursor:
        _want(cursor, keys)
        found = dict(cursor.execute(f"select id, model from prediction where key in ({_WANTED})").fetchall())
        for form in sorted(entity.forms):
            for prediction, model, request in cursor.execute("select id, model, request from prediction where instr(request, ?)", (form,)):
                if entity.is_in(request, [entity.field]):
                    found[prediction] = model
            for prediction, model, texts in cursor.execute(_WITH_TEXT, (form,)):
                if any(as_text(value) == entity.value for value in orjson.loads(texts).values()):
                    found[prediction] = model
    return found


def forget_predictions(serving: Path, ids: Sequence[int]) -> None:
    """Delete predictions with their vectors and scores. The last id stays, as a row of no model: none is given twice."""
    with _writing(serving) as cursor:
        _want(cursor, ids)
        last = cursor.execute("select max(id) from prediction").fetchone()[0]
        for table, column in (("score", "prediction_id"), ("prediction_text", "prediction_id"), ("prediction", "id")):
            cursor.execute(f"delete from {table} where {column} in ({_WANTED})")
        if last in set(ids):
            cursor.execute(_NOBODYS, (last,))


def reactions_of(loop: Path, entity: Entity) -> dict[str, str]:
    """By id, the reactions whose matches mention the value in what is told or in what they are once for."""
    with _reading(loop) as cursor:
        rows = cursor.execute("select id, reaction, once_key, body from reaction_outbox")
        return {match: reaction for match, reaction, once_key, body in rows if entity.is_mentioned(f"{once_key} {body}")}


def forget_reactions(loop: Path, ids: Sequence[str]) -> None:
    """Delete matches of reactions, carried out or not; their events were looked at, so none comes again."""
    with _writing(loop) as cursor:
        _want(cursor, ids)
        cursor.execute(f"delete from reaction_outbox where id in ({_WANTED})")


def wipe(path: Path) -> None:
    """Write a database anew without what was deleted from it, and empty its write-ahead log.

    Raises:
        NotReadyError: somebody holds it open in the middle of a reading, or the disk has no room for a copy.
    """
    refuse_small_disk(path, 2 * path.stat().st_size)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)) as connection:
        connection.execute(f"pragma busy_timeout = {BUSY_S * 1_000}")
        try:
            connection.execute("vacuum")
            (busy, _, _) = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        except sqlite3.OperationalError as error:
            raise NotReadyError(f"{path} could not be written anew: {error}; try again") from error
    if busy:
        raise NotReadyError(
            f"{path} is being read, so old bytes stay in its write-ahead log; try again, if need be with the server stopped"
        )


@contextmanager
def _reading(path: Path) -> Iterator[Cursor]:
    with closing(_connect(path)) as connection:
        yield connection.cursor()


@contextmanager
def _writing(path: Path) -> Iterator[Cursor]:
    with closing(_connect(path)) as connection:
        connection.execute("begin immediate")
        yield connection.cursor()
        connection.execute("commit")


def _want(cursor: Cursor, those: Collection[int] | Collection[str]) -> None:
    cursor.execute("create temp table wanted (it primary key)")
    cursor.executemany("insert or ignore into wanted values (?)", [(one,) for one in those])


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
    connection.execute("pragma temp_store = memory")
    return connection
