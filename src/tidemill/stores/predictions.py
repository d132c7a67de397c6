"""Predictions in SQL: what was asked, the vector that answered it, and what each model version said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import orjson
from sqlalchemy import func, select

from tidemill.stores.answer import Answer, Class
from tidemill.stores.cursors import Cursor, reading, reading_cursor, writing_cursor
from tidemill.stores.databases import Databases
from tidemill.stores.file_lock import file_lock
from tidemill.stores.insert_many import insert_many
from tidemill.stores.prediction_ids import PredictionIds
from tidemill.stores.prediction_keys import NAME as KEYS
from tidemill.stores.prediction_keys import PredictionKeys, of_keys
from tidemill.stores.prediction_records import Answered, Asked, Said, Score, Served, as_served, stored, unpacked
from tidemill.stores.prediction_tables import PREDICTION, PREDICTION_TABLES, SERVER

# Run for every request: plain SQL with bound parameters, as building it anew with Core costs more than running it.
_PREDICTIONS = "prediction (id, model, key, at_ms, made_wall_ms, position, digest, request, vector)"
_SCORES = "score (prediction_id, role, version, probability, value, probabilities)"
_TEXTS = "prediction_text (prediction_id, texts)"
_INSERT_CLASSES = "insert into version_classes (model, version, classes) values (?, ?, ?) on conflict (model, version) do nothing"
CLASSES_OF = "select version, classes from version_classes where model = ?"
_SERVED = """select p.id, s.version, p.key, p.at_ms, p.position, p.digest, p.request, p.vector, t.texts,
s.probability, s.value, s.probabilities
from prediction p join score s on s.prediction_id = p.id and s.role = 'champion' left join prediction_text t on t.prediction_id = p.id """
_SERVED_ONE = _SERVED + "where p.id = ?"
_SERVED_SINCE = _SERVED + "where p.model = ? and p.id > ? and p.at_ms between ? and ? order by p.id limit ?"
# The pluses keep SQLite from the index by time: from the beginning on, sorting by id again costs more than reading in its order.
_SERVED_ALL = _SERVED_SINCE.replace("p.model = ?", "+p.model = ?").replace("p.at_ms between", "+p.at_ms between")
_IDS = "select id from prediction where model = ? and at_ms between ? and ? order by id"
_IDS_OF = """select p.id from prediction p join score s on s.prediction_id = p.id and s.role = 'champion' and s.version = ?
where p.model = ? and p.at_ms between ? and ? order by p.id"""
# What was answered: by the canary where it answered, else by the champion, which has scored that question too.
_SAID = """select p.id, p.model, p.key, p.at_ms, p.made_wall_ms, p.position, p.request, coalesce(c.version, s.version),
case when c.version is null then s.probability else c.probability end, case when c.version is null then s.value else c.value end,
case when c.version is null then s.probabilities else c.probabilities end
from prediction p join score s on s.prediction_id = p.id and s.role = 'champion'
left join score c on c.prediction_id = p.id and c.role = 'canary' where p.id > ? order by p.id limit ?"""
_COUNT_SAID = "select count(*) from score where role = 'champion' and prediction_id > ?"
# The joined texts keep SQLite from the index by time here too: it would sort all that a model was ever asked.
_ASKED_AFTER = """select id, key, at_ms from prediction where model || '' = ?1 and id > ?2 and id < coalesce(
  (select id from prediction where model || '' = ?1 and id > ?2 and at_ms >= ?3 order by id limit 1), 9223372036854775807)
order by id limit ?4"""
_ASKED_BEFORE = "select id, key, at_ms from prediction where model = ? and at_ms < ? order by at_ms desc, id desc limit ?"
_COUNT_ASKED = "select count(*) from prediction where model = ? and at_ms >= ? and at_ms < ?"
_SCORES_OF = """select p.id, p.key, p.at_ms, s.role, s.version, s.probability, s.value, s.probabilities
from prediction p join score s on s.prediction_id = p.id where """
_CONFIRM = (
    "insert into server (id, model, version, seen_wall_ms) values (?, ?, ?, ?) "
    "on conflict (id, model) do update set version = excluded.version, seen_wall_ms = excluded.seen_wall_ms"
)
_KEYS_A_QUERY = 500
LAST_MS = ALL = 1 << 62


class PredictionStore:
    """The predictions of all models.

    Args:
        databases: of the home; predictions are in the one named `serving`.
    """

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._engine = databases.open("serving", PREDICTION_TABLES)
        self.keys = PredictionKeys(databases)
        self._ids = PredictionIds(databases)
        self._by_key = databases.open_beside("serving", KEYS) if databases.url is None else self._engine
        self._all = _SERVED_ALL if self._engine.dialect.name == "sqlite" else _SERVED_SINCE
        self._reader = reading(self._engine)
        self._at_once = databases.open_at_once("serving")
        self._classes: dict[tuple[str, int], list[Class]] = {}

    @property
    def is_file(self) -> bool:
        """Whether they are in a file, and not in a server's database."""
        return self._at_once is not None

    def write(self, answered: Answered) -> list[int]:
        """Log a batch in one transaction; answers the ids, rising in time."""
        return self.write_all([answered])[0]

    def write_all(self, batches: Sequence[Answered]) -> list[list[int]]:
        """Log batches of any models in one transaction; answers the ids of each, rising in time."""
        if not any(batch.keys for batch in batches):
            return [[] for _ in batches]
        # SQLite has who waits sleep longer and longer, so one of two processes that write all the time would wait for a second and more
        with file_lock(self._databases.home / "serving.turn") if self.is_file else nullcontext():
            while (ids := self._write(batches)) is None:
                self._ids.go_on()
        return ids

    def write_at_once(self, batches: Sequence[Answered]) -> list[list[int]] | None:
        """The same where nobody has to be waited for, in a file that no other transaction writes to; else None, and nothing is logged."""
        return None if self._at_once is None else self._at_once.write(lambda cursor: self._log(cursor, batches))

    def count(self, model: str) -> int:
        """How many predictions a model has made."""
        with self._reader.connect() as connection:
            query = select(func.count()).select_from(PREDICTION).where(PREDICTION.c.model == model)
            return connection.execute(query).scalar_one()

    def served(self, model: str, *, after_id: int = 0, from_ms: int = 0, before_ms: int = LAST_MS, limit: int = ALL) -> Served:
        """Logged predictions of a model asked in `[from_ms, before_ms]`, in the order they were made."""
        query = _SERVED_SINCE if from_ms else self._all
        with reading_cursor(self._engine) as cursor:
            return as_served(cursor.execute(query, (model, after_id, from_ms, before_ms, limit)).fetchall())

    def sample(self, model: str, n: int, seed: int, from_ms: int = 0) -> Served:
        """At most `n` predictions logged since a time, spread evenly over all of them; `seed` sets where the spread begins."""
        with reading_cursor(self._engine) as cursor:
            return _spread(cursor, n, seed, cursor.execute(_IDS, (model, from_ms, LAST_MS)).fetchall())

    def sample_of(self, model: str, n: int, span: tuple[int, int], version: int | None = None) -> Served:
        """At most `n` predictions asked in `[span[0], span[1]]`, of one champion where a version is named, spread evenly over them."""
        with reading_cursor(self._engine) as cursor:
            asked = cursor.execute(_IDS, (model, *span)) if version is None else cursor.execute(_IDS_OF, (version, model, *span))
            return _spread(cursor, n, 0, asked.fetchall())

    def scores(self, model: str, keys: Sequence[str]) -> list[Score]:
        """Everything said of these keys, oldest first."""
        self.keys.catch_up()
        distinct = list(dict.fromkeys(keys))
        found: list[Score] = []
        with reading_cursor(self._by_key) as cursor:
            for begin in range(0, len(distinct), _KEYS_A_QUERY):
                some = distinct[begin : begin + _KEYS_A_QUERY]
                places = ", ".join(f"?{number}" for number in range(2, 2 + len(some)))
                rows = cursor.execute(_SCORES_OF + of_keys(self._databases, places, "?1"), (model, *some)).fetchall()
                for prediction_id, key, at_ms, role, version, *said in rows:
                    found.append(Score(prediction_id, key, at_ms, role, version, self._answer(model, version, *said)))
        return sorted(found, key=lambda score: (score.prediction_id, score.role))

    def said(self, after_id: int, limit: int) -> list[Said]:
        """What whichever models have answered, in the order in which it was logged."""
        with reading_cursor(self._engine) as cursor:
            rows = cursor.execute(_SAID, (after_id, limit)).fetchall()
        return [self._said(row) for row in rows]

    def count_said(self, after_id: int) -> int:
        """How many answers there are past a prediction."""
        with reading_cursor(self._engine) as cursor:
            return int(cursor.execute(_COUNT_SAID, (after_id,)).fetchone()[0])

    def asked(self, model: str, after_id: int, before_ms: int, limit: int) -> list[Asked]:
        """The questions past a prediction, in the order in which they were logged, up to the first that was asked at a time or later."""
        return self._asked(_ASKED_AFTER, (model, after_id, before_ms, limit))

    def newest_asked(self, model: str, before_ms: int, limit: int) -> list[Asked]:
        """The last so many questions that were asked before a time, the oldest first."""
        return self._asked(_ASKED_BEFORE, (model, before_ms, limit))[::-1]

    def count_asked(self, model: str, from_ms: int, before_ms: int) -> int:
        """How many questions were asked in `[from_ms, before_ms)`."""
        with reading_cursor(self._engine) as cursor:
            return int(cursor.execute(_COUNT_ASKED, (model, from_ms, before_ms)).fetchone()[0])

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
        query = select(SERVER.c.id, SERVER.c.version).where(SERVER.c.model == model, SERVER.c.seen_wall_ms >= seen_after_wall_ms)
        with self._reader.connect() as connection:
            return {server: version for server, version in connection.execute(query)}

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()
        self._by_key.dispose()
        if self._at_once is not None:
            self._at_once.close()

    def _write(self, batches: Sequence[Answered]) -> list[list[int]] | None:
        with writing_cursor(self._engine) as cursor:
            return self._log(cursor, batches)

    def _log(self, cursor: Cursor, batches: Sequence[Answered]) -> list[list[int]] | None:
        """Log batches; answers the ids of each, or None, with nothing logged, where ids have to go on elsewhere first."""
        if (newest := self._ids.newest(cursor)) is None:
            return None
        ids = []
        for batch in batches:
            ids.append(list(range(newest + 1, newest + 1 + len(batch.keys))))
            newest += len(batch.keys)
        _insert(cursor, batches, ids)
        return ids

    def _asked(self, query: str, values: Sequence[Any]) -> list[Asked]:
        with reading_cursor(self._engine) as cursor:
            return [Asked(*row) for row in cursor.execute(query, values).fetchall()]

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


def _insert(cursor: Cursor, batches: Sequence[Answered], ids: Sequence[Sequence[int]]) -> None:
    """Log batches, each under its ids."""
    classes = {(batch.model, version): of for batch in batches for version, of in batch.classes.items()}
    if classes:
        cursor.executemany(_INSERT_CLASSES, [(*which, orjson.dumps(list(of)).decode()) for which, of in classes.items()])
    insert_many(cursor, _PREDICTIONS, [row for batch, own in zip(batches, ids, strict=True) for row in _predictions(batch, own)])
    insert_many(cursor, _SCORES, [row for batch, own in zip(batches, ids, strict=True) for row in _scores(batch, own)])
    texts = [row for batch, own in zip(batches, ids, strict=True) if batch.texts for row in zip(own, batch.texts, strict=True)]
    insert_many(cursor, _TEXTS, texts)


def _predictions(answered: Answered, ids: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    common = (answered.at_ms, answered.made_wall_ms, answered.position, answered.digest)
    vectors, width = answered.numbers.tobytes(), answered.numbers.shape[1] * answered.numbers.itemsize
    for place, (prediction_id, key, request) in enumerate(zip(ids, answered.keys, answered.requests, strict=True)):
        yield (prediction_id, answered.model, key, *common, request, vectors[place * width : (place + 1) * width])


def _scores(answered: Answered, ids: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    for role, (version, said) in answered.scores.items():
        for prediction_id, one in zip(answered.ids_of(role, ids), stored(answered.kind, said), strict=True):
            yield (prediction_id, role, version, *one)


def _spread(cursor: Cursor, n: int, seed: int, found: Sequence[tuple[int]]) -> Served:
    """At most `n` of the predictions with these ids, evenly; `seed` sets where the spread begins."""
    size = min(n, len(found))
    chosen = [found[(place * len(found) + seed % len(found)) // size][0] for place in range(size)]
    return as_served([cursor.execute(_SERVED_ONE, (prediction_id,)).fetchone() for prediction_id in chosen])
