"""Deleting what the databases of a home hold of an entity beside tiles and events."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import orjson
from sqlalchemy import MetaData

from tidemill.errors import LATE
from tidemill.stores.cursors import Cursor, reading_cursor, writing_cursor
from tidemill.stores.databases import Databases
from tidemill.stores.forget_match import Entity, as_text
from tidemill.stores.prediction_ids import keep_id
from tidemill.stores.prediction_keys import NAME as KEYS
from tidemill.stores.prediction_keys import PredictionKeys, of_keys

_AT_ONCE = 500  # offsets, keys or ids in one statement
_REQUESTS = {
    "sqlite": "select id, model, request from prediction where instr(request, ?) > 0",
    "postgresql": "select id, model, request from prediction where strpos(request, ?) > 0",
}
_TEXTS = "select id, model, texts from prediction_text join prediction on id = prediction_id where "
_WITH_TEXT = {"sqlite": f"{_TEXTS} instr(texts, ?) > 0", "postgresql": f"{_TEXTS} position(? in texts) > 0"}


def dead_letters_of(databases: Databases, entity: Entity, names: Mapping[str, list[str]]) -> dict[str, set[int]]:
    """By stream, the log offsets of the dead letters of an entity.

    One that is no valid event is its when it mentions the value at all: nobody can tell what it was to be.

    Args:
        databases: of the home.
        entity: whose.
        names: by stream, what the field is called in its events.
    """
    found: dict[str, set[int]] = {}
    with _reading(databases, "state") as cursor:
        for offset, stream, reason, detail, sent in cursor.execute("select log_offset, stream, reason, detail, payload from dead_letter"):
            payload = sent.decode() if isinstance(sent, bytes) else sent
            mentioned = reason != LATE and entity.is_mentioned(f"{payload} {detail}")
            if mentioned or entity.is_in(payload, names.get(stream, [])):
                found.setdefault(stream, set()).add(offset)
    return found


def count_dead_letters(databases: Databases, stream: str, offsets: Collection[int]) -> int:
    """How many dead letters of a stream are of the events at these log offsets."""
    query = "select count(*) from dead_letter where stream = ? and payload <> '' and log_offset in"
    with _reading(databases, "state") as cursor:
        return sum(int(cursor.execute(f"{query} {places}", (stream, *some)).fetchone()[0]) for places, some in _among(offsets))


def count_outcomes(databases: Databases, model: str, offsets: Collection[int]) -> int:
    """How many outcomes of a model were told by its label's events at these log offsets."""
    query = "select count(*) from outcome where model = ? and log_offset in"
    with _reading(databases, "state") as cursor:
        return sum(int(cursor.execute(f"{query} {places}", (model, *some)).fetchone()[0]) for places, some in _among(offsets))


def forget_outcomes(databases: Databases, model: str, offsets: Collection[int]) -> None:
    """Delete the outcomes of a model that its label's events at these log offsets told."""
    with _writing(databases, "state") as cursor:
        for places, some in _among(offsets):
            cursor.execute(f"delete from outcome where model = ? and log_offset in {places}", (model, *some))


def forget_dead_letters(databases: Databases, stream: str, offsets: Collection[int]) -> None:
    """Empty the dead letters of a stream at these log offsets; that there were some stays, as the books count them."""
    emptied = "update dead_letter set detail = 'forgotten', payload = ''"
    with _writing(databases, "state") as cursor:
        for places, some in _among(offsets):
            cursor.execute(f"{emptied} where stream = ? and log_offset in {places}", (stream, *some))


def predictions_of(databases: Databases, entity: Entity, keys: Sequence[str]) -> dict[int, str]:
    """By id, the models of the predictions whose request or texts hold the value, or whose label has one of these keys."""
    kind, found = databases.kind, _predictions_of_keys(databases, keys)
    with _reading(databases, "serving") as cursor:
        for form in sorted(entity.forms):
            for prediction, model, request in cursor.execute(_REQUESTS[kind], (form,)):
                if entity.is_in(request, [entity.field]):
                    found[prediction] = model
            for prediction, model, texts in cursor.execute(_WITH_TEXT[kind], (form.encode(),)):
                if any(as_text(value) == entity.value for value in orjson.loads(texts).values()):
                    found[prediction] = model
    return found


def forget_predictions(databases: Databases, ids: Sequence[int]) -> None:
    """Delete predictions with their vectors and scores. The last id stays: none is given twice."""
    with _writing(databases, "serving") as cursor:
        last = cursor.execute("select max(id) from prediction").fetchone()[0]
        for places, some in _among(ids):
            for table, column in (("score", "prediction_id"), ("prediction_text", "prediction_id"), ("prediction", "id")):
                cursor.execute(f"delete from {table} where {column} in {places}", some)
        if last in set(ids):
            keep_id(cursor, last)
    PredictionKeys(databases).forget()


def _predictions_of_keys(databases: Databases, keys: Sequence[str]) -> dict[int, str]:
    PredictionKeys(databases).catch_up()
    found = dict[int, str]()
    engine = databases.open_beside("serving", KEYS)
    try:
        with reading_cursor(engine) as cursor:
            for begin in range(0, len(keys), _AT_ONCE):
                some = keys[begin : begin + _AT_ONCE]
                places = ", ".join(f"?{number}" for number in range(1, 1 + len(some)))
                found |= cursor.execute(f"select p.id, p.model from prediction p where {of_keys(databases, places)}", some).fetchall()
    finally:
        engine.dispose()
    return found


def reactions_of(databases: Databases, entity: Entity) -> dict[str, str]:
    """By id, the reactions whose matches mention the value in what is told or in what they are once for."""
    with _reading(databases, "loop") as cursor:
        rows = cursor.execute("select id, reaction, once_key, body from reaction_outbox")
        return {match: reaction for match, reaction, once_key, body in rows if entity.is_mentioned(f"{once_key} {body}")}


def forget_reactions(databases: Databases, ids: Sequence[str]) -> None:
    """Delete matches of reactions, carried out or not; their events were looked at, so none comes again."""
    with _writing(databases, "loop") as cursor:
        for places, some in _among(ids):
            cursor.execute(f"delete from reaction_outbox where id in {places}", some)


@contextmanager
def _reading(databases: Databases, name: str) -> Iterator[Cursor]:
    engine = databases.open(name, MetaData())
    try:
        with reading_cursor(engine) as cursor:
            yield cursor
    finally:
        engine.dispose()


@contextmanager
def _writing(databases: Databases, name: str) -> Iterator[Cursor]:
    engine = databases.open(name, MetaData())
    try:
        with writing_cursor(engine) as cursor:
            yield cursor
    finally:
        engine.dispose()


def _among(those: Collection[int] | Collection[str]) -> Iterator[tuple[str, list[int | str]]]:
    """Places for values, and the values, so many at a time as one statement takes."""
    every: list[int | str] = list(those)
    for begin in range(0, len(every), _AT_ONCE):
        some = every[begin : begin + _AT_ONCE]
        yield f"({', '.join('?' * len(some))})", some
