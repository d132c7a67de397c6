"""Predictions in SQL: what was asked, the vector that answered it, and what each model version said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson
from sqlalchemy import (
    Column,
    Float,
    Index,
    LargeBinary,
    MetaData,
    Table,
    bindparam,
    func,
    select,
)

from tidemill.kernels import Floats
from tidemill.stores.answer import Answer, AnswerKind, Class
from tidemill.stores.column_types import Whole, Word, Words
from tidemill.stores.cursors import Cursor, reading, reading_cursor, writing_cursor
from tidemill.stores.databases import Databases

Role = Literal["champion", "frozen", "shadow", "canary"]

_TABLES = MetaData()
_PREDICTION = Table(
    "prediction",
    _TABLES,
    Column("id", Whole, primary_key=True, autoincrement=False),
    Column("model", Word, nullable=False),
    Column("key", Word, nullable=False),
    Column("at_ms", Whole, nullable=False),
    Column("made_wall_ms", Whole, nullable=False),
    Column("position", Words, nullable=False),
    Column("digest", Word, nullable=False),
    Column("request", Words, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Index("prediction_by_key", "model", "key"),
    Index("prediction_by_time", "model", "at_ms"),
)
_TEXT = Table(  # the texts of a vector that its request does not hold, as a JSON object by column
    "prediction_text",
    _TABLES,
    Column("prediction_id", Whole, primary_key=True, autoincrement=False),
    Column("texts", LargeBinary, nullable=False),
)
_SCORE = Table(
    "score",
    _TABLES,
    Column("prediction_id", Whole, primary_key=True, autoincrement=False),
    Column("role", Word, primary_key=True),
    Column("version", Whole, nullable=False),
    Column("probability", Float),  # one of these three, by what the model predicts
    Column("value", Float),
    Column("probabilities", LargeBinary),  # float32, in the order of the version's classes
    sqlite_with_rowid=False,
)
_CLASSES = Table(  # what the probabilities of a version are of; a row never changes
    "version_classes",
    _TABLES,
    Column("model", Word, primary_key=True),
    Column("version", Whole, primary_key=True),
    Column("classes", Words, nullable=False),  # a JSON array of texts or whole numbers
    sqlite_with_rowid=False,
)
_SERVER = Table(
    "server",
    _TABLES,
    Column("id", Word, primary_key=True),
    Column("model", Word, primary_key=True),
    Column("version", Whole, nullable=False),
    Column("seen_wall_ms", Whole, nullable=False),
)
# Run for every request: plain SQL with bound parameters, as building it anew with Core costs more than running it.
_INSERT = (
    "insert into prediction (id, model, key, at_ms, made_wall_ms, position, digest, request, vector) values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_SCORE = "insert into score (prediction_id, role, version, probability, value, probabilities) values (?, ?, ?, ?, ?, ?)"
_INSERT_CLASSES = "insert into version_classes (model, version, classes) values (?, ?, ?) on conflict (model, version) do nothing"
CLASSES_OF = "select version, classes from version_classes where model = ?"
_INSERT_TEXT = "insert into prediction_text (prediction_id, texts) values (?, ?)"
_SERVED = """select p.id, s.version, p.key, p.at_ms, p.position, p.digest, p.request, p.vector, t.texts
from prediction p join score s on s.prediction_id = p.id and s.role = 'champion' left join prediction_text t on t.prediction_id = p.id """
_SERVED_ONE = _SERVED + "where p.id = ?"
_SERVED_SINCE = _SERVED + "where p.model = ? and p.id > ? and p.at_ms between ? and ? order by p.id limit ?"
# The pluses keep SQLite from the index by time: from the beginning on, sorting by id again costs more than reading in its order.
_SERVED_ALL = _SERVED_SINCE.replace("p.model = ?", "+p.model = ?").replace("p.at_ms between", "+p.at_ms between")
# What was answered: by the canary where it answered, else by the champion, which has scored that question too.
_SAID = """select p.id, p.model, p.key, p.at_ms, p.made_wall_ms, p.position, p.request, coalesce(c.version, s.version),
case when c.version is null then s.probability else c.probability end, case when c.version is null then s.value else c.value end,
case when c.version is null then s.probabilities else c.probabilities end
from prediction p join score s on s.prediction_id = p.id and s.role = 'champion'
left join score c on c.prediction_id = p.id and c.role = 'canary' where p.id > ? order by p.id limit ?"""
_CONFIRM = (
    "insert into server (id, model, version, seen_wall_ms) values (?, ?, ?, ?) "
    "on conflict (id, model) do update set version = excluded.version, seen_wall_ms = excluded.seen_wall_ms"
)
_KEYS_A_QUERY = 500
LAST_MS = ALL = 1 << 62


@dataclass(frozen=True)
class Answered:
    """One batch of predictions to log.

    Args:
        model: which.
        at_ms: the time of the question.
        made_wall_ms: the wall clock when it was answered.
        position: token of the position whose tiles were read.
        digest: of the definitions of views and tables.
        keys: (n,) the label's key of each request.
        requests: (n,) JSON of each request.
        numbers: (n, n_number_columns) float64, the vector's numbers in the model's order.
        scores: by role, the version that said it and what it said: (n,) probabilities or values, or (n, n_classes) probabilities.
            The champion scores every row, whoever answers it.
        texts: (n,) a JSON object of each vector's texts that its request does not hold; empty where there are none.
        kind: what the scores are.
        classes: by version, what the columns of its probabilities stand for.
        places: by role, the rows it scored, where those are not all.
    """

    model: str
    at_ms: int
    made_wall_ms: int
    position: str
    digest: str
    keys: Sequence[str]
    requests: Sequence[str]
    numbers: Floats
    scores: Mapping[Role, tuple[int, Floats]]
    texts: Sequence[bytes] = ()
    kind: AnswerKind = "probability"
    classes: Mapping[int, Sequence[Class]] = field(default_factory=dict)
    places: Mapping[Role, Sequence[int]] = field(default_factory=dict)

    def ids_of(self, role: Role, ids: Sequence[int]) -> Sequence[int]:
        """Of the ids of all rows those that a role scored."""
        return [ids[place] for place in self.places[role]] if role in self.places else ids


@dataclass(frozen=True)
class Served:
    """Logged predictions as columns, oldest first; `versions` is the champion's, `numbers` is (n, n_number_columns), `texts` as logged."""

    ids: npt.NDArray[np.int64]
    versions: npt.NDArray[np.int64]
    keys: list[str]
    at_ms: npt.NDArray[np.int64]
    positions: list[str]
    digests: list[str]
    requests: list[str]
    numbers: Floats
    texts: list[bytes | None]

    def rows(self, places: npt.NDArray[np.int64]) -> Served:
        """The rows at these places."""
        return Served(
            ids=self.ids[places],
            versions=self.versions[places],
            keys=[self.keys[place] for place in places],
            at_ms=self.at_ms[places],
            positions=[self.positions[place] for place in places],
            digests=[self.digests[place] for place in places],
            requests=[self.requests[place] for place in places],
            numbers=self.numbers[places],
            texts=[self.texts[place] for place in places],
        )


@dataclass(frozen=True, slots=True)
class Score:
    """What one version said of one key."""

    prediction_id: int
    key: str
    at_ms: int
    role: str
    version: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Said:
    """What was asked, and what was answered: by the champion, or by the canary."""

    id: int
    model: str
    key: str
    at_ms: int
    made_wall_ms: int
    position: str
    request: str
    version: int
    answer: Answer


class PredictionStore:
    """The predictions of all models.

    Args:
        databases: of the home; predictions are in the one named `serving`.
    """

    def __init__(self, databases: Databases) -> None:
        self._engine = databases.open("serving", _TABLES)
        self._all = _SERVED_ALL if self._engine.dialect.name == "sqlite" else _SERVED_SINCE
        self._reader = reading(self._engine)
        self._classes: dict[tuple[str, int], list[Class]] = {}

    def write(self, answered: Answered) -> list[int]:
        """Log a batch in one transaction; answers the ids, rising in time."""
        return self.write_all([answered])[0]

    def write_all(self, batches: Sequence[Answered]) -> list[list[int]]:
        """Log batches of any models in one transaction; answers the ids of each, rising in time."""
        if not any(batch.keys for batch in batches):
            return [[] for _ in batches]
        told = []
        with writing_cursor(self._engine) as cursor:
            (last,) = cursor.execute("select coalesce(max(id), 0) from prediction").fetchone()
            for batch in batches:
                told.append(list(range(last + 1, last + 1 + len(batch.keys))))
                last += len(batch.keys)
                _insert(cursor, batch, told[-1])
        return told

    def count(self, model: str) -> int:
        """How many predictions a model has made."""
        with self._reader.connect() as connection:
            query = select(func.count()).select_from(_PREDICTION).where(_PREDICTION.c.model == model)
            return connection.execute(query).scalar_one()

    def served(self, model: str, *, after_id: int = 0, from_ms: int = 0, before_ms: int = LAST_MS, limit: int = ALL) -> Served:
        """Logged predictions of a model asked in `[from_ms, before_ms]`, in the order they were made."""
        query = _SERVED_SINCE if from_ms else self._all
        with reading_cursor(self._engine) as cursor:
            return _as_served(cursor.execute(query, (model, after_id, from_ms, before_ms, limit)).fetchall())

    def sample(self, model: str, n: int, seed: int, from_ms: int = 0) -> Served:
        """At most `n` predictions logged since a time, spread evenly over all of them; `seed` sets where the spread begins."""
        with reading_cursor(self._engine) as cursor:
            ids = [
                row[0] for row in cursor.execute("select id from prediction where model = ? and at_ms >= ? order by id", (model, from_ms))
            ]
            size = min(n, len(ids))
            chosen = [ids[(place * len(ids) + seed % len(ids)) // size] for place in range(size)]
            rows = [cursor.execute(_SERVED_ONE, (prediction_id,)).fetchone() for prediction_id in chosen]
        return _as_served(rows)

    def scores(self, model: str, keys: Sequence[str]) -> list[Score]:
        """Everything said of these keys, oldest first."""
        query = (
            select(
                *(_PREDICTION.c.id, _PREDICTION.c.key, _PREDICTION.c.at_ms, _SCORE.c.role, _SCORE.c.version),
                *(_SCORE.c.probability, _SCORE.c.value, _SCORE.c.probabilities),
            )
            .join(_SCORE, _SCORE.c.prediction_id == _PREDICTION.c.id)
            .where(_PREDICTION.c.model == model, _PREDICTION.c.key.in_(bindparam("keys", expanding=True)))
            .order_by(_PREDICTION.c.id)
        )
        distinct = list(dict.fromkeys(keys))
        found: list[Score] = []
        with self._reader.connect() as connection:
            for begin in range(0, len(distinct), _KEYS_A_QUERY):
                rows = connection.execute(query, {"keys": distinct[begin : begin + _KEYS_A_QUERY]})
                for prediction_id, key, at_ms, role, version, *said in rows:
                    found.append(Score(prediction_id, key, at_ms, role, version, self._answer(model, version, *said)))
        return sorted(found, key=lambda score: (score.prediction_id, score.role))

    def said(self, after_id: int, limit: int) -> list[Said]:
        """What whichever models have answered, in the order in which it was logged."""
        with reading_cursor(self._engine) as cursor:
            rows = cursor.execute(_SAID, (after_id, limit)).fetchall()
        return [self._said(row) for row in rows]

    def last_id(self) -> int:
        """The id of the newest prediction; 0 before the first."""
        with reading_cursor(self._engine) as cursor:
            return int(cursor.execute("select coalesce(max(id), 0) from prediction").fetchone()[0])

    def confirm(self, server: str, model: str, version: int, now_wall_ms: int) -> None:
        """A server says which version it serves; 0 while it serves none."""
        with writing_cursor(self._engine) as cursor:
            cursor.execute(_CONFIRM, (server, model, version, now_wall_ms))

    def leave(self, server: str) -> None:
        """A server ends, and is not counted among the servers any more."""
        with writing_cursor(self._engine) as cursor:
            cursor.execute("delete from server where id = ?", (server,))

    def servers(self, model: str, seen_after_wall_ms: int) -> dict[str, int]:
        """The servers heard of since, with the version each serves, 0 for none yet."""
        query = select(_SERVER.c.id, _SERVER.c.version).where(_SERVER.c.model == model, _SERVER.c.seen_wall_ms >= seen_after_wall_ms)
        with self._reader.connect() as connection:
            return {server: version for server, version in connection.execute(query)}

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _said(self, row: Sequence[Any]) -> Said:
        about = dict(zip(("id", "model", "key", "at_ms", "made_wall_ms", "position", "request", "version"), row, strict=False))
        return Said(**about, answer=self._answer(about["model"], about["version"], *row[len(about) :]))

    def _answer(self, model: str, version: int, probability: float | None, value: float | None, packed: bytes | None) -> Answer:
        if packed is None:
            return Answer(probability=probability, value=value)
        if (model, version) not in self._classes:
            with reading_cursor(self._engine) as cursor:
                rows = cursor.execute(CLASSES_OF, (model,)).fetchall()
            self._classes |= {(model, number): orjson.loads(classes) for number, classes in rows}
        return Answer(probabilities=dict(zip(self._classes[model, version], unpacked(packed).tolist(), strict=True)))


def _insert(cursor: Cursor, answered: Answered, ids: Sequence[int]) -> None:
    common = (answered.at_ms, answered.made_wall_ms, answered.position, answered.digest)
    rows = [
        (prediction_id, answered.model, key, *common, request, numbers.tobytes())
        for prediction_id, key, request, numbers in zip(ids, answered.keys, answered.requests, answered.numbers, strict=True)
    ]
    scores = [
        (prediction_id, role, version, *one)
        for role, (version, said) in answered.scores.items()
        for prediction_id, one in zip(answered.ids_of(role, ids), _stored(answered.kind, said), strict=True)
    ]
    if answered.classes:
        rows_of_classes = ((answered.model, version, orjson.dumps(list(of)).decode()) for version, of in answered.classes.items())
        cursor.executemany(_INSERT_CLASSES, list(rows_of_classes))
    cursor.executemany(_INSERT, rows)
    if scores:
        cursor.executemany(_INSERT_SCORE, scores)
    if answered.texts:
        cursor.executemany(_INSERT_TEXT, zip(ids, answered.texts, strict=True))


def unpacked(probabilities: bytes) -> Floats:
    """(n,) the probabilities of one score as it is kept, or of several of one version behind one another."""
    return np.frombuffer(probabilities, dtype="<f4").astype(np.float64)


def _stored(kind: AnswerKind, said: Floats) -> Iterable[tuple[float | None, float | None, bytes | None]]:
    """What was said as the columns `probability`, `value` and `probabilities`."""
    if kind == "probabilities":
        return [(None, None, row.tobytes()) for row in said.astype("<f4")]
    return [(one, None, None) if kind == "probability" else (None, one, None) for one in said.astype(np.float64).tolist()]


def _as_served(rows: Sequence[Sequence[object]]) -> Served:
    ids, versions, keys, at_ms, positions, digests, requests, vectors, texts = zip(*rows, strict=True) if rows else ((),) * 9
    numbers = np.frombuffer(b"".join(vectors))
    return Served(
        ids=np.array(ids, dtype=np.int64),
        versions=np.array(versions, dtype=np.int64),
        keys=list(keys),
        at_ms=np.array(at_ms, dtype=np.int64),
        positions=list(positions),
        digests=list(digests),
        requests=list(requests),
        numbers=numbers.reshape(len(ids), -1) if len(ids) else numbers.reshape(0, 0),
        texts=list(texts),
    )
