"""Predictions beside their outcomes: what quality is computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from tidemill.features import Label
from tidemill.kernels import Floats
from tidemill.stores.answer import Class, class_of, in_class_order
from tidemill.stores.cursors import reading_cursor
from tidemill.stores.databases import Databases
from tidemill.stores.prediction_keys import NAME as KEYS
from tidemill.stores.prediction_keys import PredictionKeys, of_keys
from tidemill.stores.prediction_records import Role, unpacked
from tidemill.stores.predictions import CLASSES_OF

# An outcome counts for a prediction when it became known after the question and within the label's time. Of each (key, version,
# role) one prediction is kept: the last that has such an outcome, with the last of those outcomes; where none has, the last.
# Without statistics SQLite takes the index by key for a guess no better than reading every outcome of the model, so it is told.
_BY_KEY = " indexed by outcome_by_key"
_MET = """
with met as (
  select p.id, s.role, s.version, p.at_ms, s.probability, s.value as expected, s.probabilities, o.value, o.text,
    min(o.known_at_ms) over (partition by p.id, s.role) as first_known_ms,
    count(o.number) over (partition by p.id, s.role) as n_told,
    row_number() over (
      partition by p.key, s.version, s.role order by case when o.number is null then 1 else 0 end, p.id desc, o.number desc
    ) as newest
  from prediction p
  join score s on s.prediction_id = p.id
  {join} state.outcome o{by_key} on o.model = p.model and o.key = p.key and o.known_at_ms > p.at_ms and o.known_at_ms <= p.at_ms + ?2
  where {of_keys}{tried}
)
select met.id, met.role, met.version, met.at_ms, met.probability, met.expected, met.probabilities, met.value, met.text{more}
from met{beside}
where met.newest = 1 and met.at_ms >= ?3 and met.at_ms < ?4
order by met.id, met.role
"""
_KEYS_ASKED = "select key from prediction where model = ?1 and at_ms >= ?3 and at_ms < ?4"
_OF_KEYS = "{of_keys}"  # by which predictions of a key are found, follows from where they are
_JUDGED = _MET.format(join="join", by_key=_BY_KEY, more="", beside="", of_keys=_OF_KEYS, tried="")
# Every question in so many that a version was asked, drawn by its number: to compare on all of 277,431 took 17 s.
_MOST_TRIED = 20_000
_DRAWN = "{id} * 7919 % 1000003 % ?7 = 0"
_SCORED_BY = " and exists (select 1 from score tried where tried.prediction_id = p.id and tried.role = ?5 and tried.version = ?6)"
_SOME = f"{_SCORED_BY} and {_DRAWN.format(id='p.id')}"
_TRIED = _MET.format(join="join", by_key=_BY_KEY, more="", beside="", of_keys=_OF_KEYS, tried=_SOME)
_KEYS_TRIED = f"{_KEYS_ASKED} and {_DRAWN.format(id='id')}"
_N_TRIED = """select count(*) from prediction p join score s on s.prediction_id = p.id and s.role = ? and s.version = ?
where p.model = ? and p.at_ms >= ? and p.at_ms < ?"""
_ASKED = " join prediction asked on asked.id = met.id left join prediction_text said on said.prediction_id = met.id"
_WITH = {"nothing": "", "texts": ", asked.request, said.texts", "vectors": ", asked.request, said.texts, asked.digest, asked.vector"}
Beside = Literal["nothing", "texts", "vectors"]  # what is read beside predictions and outcomes: of vectors their texts too
_FOLLOWED = {
    name: _MET.format(
        join="left join",
        by_key=_BY_KEY,
        more=f", met.first_known_ms, met.n_told{more}",
        beside=_ASKED if more else "",
        of_keys=_OF_KEYS,
        tried="",
    )
    for name, more in _WITH.items()
}
_ID, _ROLE, _VERSION, _AT, _PROBABILITY, _EXPECTED, _PROBABILITIES, _VALUE, _TEXT = range(9)
_FIRST, _TOLD, _REQUEST, _TEXTS, _DIGEST, _VECTOR = range(9, 15)
_Row = Sequence[Any]


@dataclass(frozen=True)
class Judged:
    """(n,) outcomes beside what was said of them.

    Args:
        role: of who said it.
        version: of who said it.
        at_ms: when.
        said: (n,) probabilities of 1 or values, or (n, n_classes) probabilities.
        outcome: (n,) float64: 0 or 1, a value, or the place of the class among `classes`.
        classes: every class that a version knows or that came true, rising; empty where an outcome is not one of several.
        prediction: (n,) the id of the question, one for what several versions said of it; empty where nobody asked for it.
    """

    role: npt.NDArray[np.str_]
    version: npt.NDArray[np.int64]
    at_ms: npt.NDArray[np.int64]
    said: Floats
    outcome: Floats
    classes: tuple[Class, ...] = ()
    prediction: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def of_role(self, role: str) -> Judged:
        """The rows that one role said."""
        return self.rows(self.role == role)

    def rows(self, mine: npt.NDArray[np.bool_]) -> Judged:
        """Some of the rows."""
        columns = {name: getattr(self, name)[mine] for name in ("role", "version", "at_ms", "said", "outcome")}
        return replace(self, **columns, prediction=self.prediction[mine] if len(self.prediction) else self.prediction)


@dataclass(frozen=True)
class Followed:
    """(n,) predictions, with the outcome or without, in the order they were made.

    Args:
        role: who said it, by role.
        version: and by version.
        at_ms: when it was asked.
        said: (n,) probabilities of 1 or values, or (n, n_classes) probabilities.
        outcome: the last known one that counts, as in `Judged`; NaN where there is none.
        absent: what the label says that no outcome means, as an outcome; NaN where such rows are dropped.
        first_known_ms: when the first one that counts became known; -1 where there is none.
        n_told: how many count; more than one where the outcome was corrected.
        classes: as in `Judged`.
        requests: (n,) JSON of each request, if asked for.
        texts: (n,) JSON of each vector's texts that its request does not hold, None where there are none; if asked for.
        digests: (n,) of the definitions that made each vector; if asked for.
        vectors: (n,) the float64 of each vector's numbers, as bytes; if asked for.
    """

    role: npt.NDArray[np.str_]
    version: npt.NDArray[np.int64]
    at_ms: npt.NDArray[np.int64]
    said: Floats
    outcome: Floats
    absent: float
    first_known_ms: npt.NDArray[np.int64]
    n_told: npt.NDArray[np.int64]
    classes: tuple[Class, ...] = ()
    requests: Sequence[str] = ()
    texts: Sequence[bytes | None] = ()
    digests: Sequence[str] = ()
    vectors: Sequence[bytes] = ()

    def __len__(self) -> int:
        """How many."""
        return len(self.at_ms)


@dataclass(frozen=True)
class Tried:
    """What a version that is tried said, and the champion, on the same questions; of each key the last that the version was asked.

    Args:
        own: what it said.
        champion: what the champion said.
        one_in: of how many questions one was looked at, drawn from all alike.
    """

    own: Judged
    champion: Judged
    one_in: int = 1


class QualityReader:
    """Reads the databases `serving` and `state` side by side; writes nothing."""

    def __init__(self, databases: Databases) -> None:
        self._keys = PredictionKeys(databases)
        self._engine = databases.open_beside("serving", "state", KEYS)
        self._by_key = _BY_KEY if self._engine.dialect.name == "sqlite" else ""
        self._of_keys = of_keys(databases, _KEYS_ASKED, "?1")
        self._tried = _TRIED.replace(_OF_KEYS, of_keys(databases, _KEYS_TRIED, "?1"))

    def judged(self, model: str, label: Label, from_ms: int, to_ms: int) -> Judged:
        """The predictions asked in `[from_ms, to_ms)` whose outcome is known.

        Where the model's task was changed meanwhile, those of the newest one.
        """
        return _known(self._read(_JUDGED, model, label, (from_ms, to_ms)))

    def tried(self, model: str, label: Label, span: tuple[int, int], scored_by: tuple[Role, int]) -> Tried:
        """What a version that is tried said, beside the champion.

        Args:
            model: name.
            label: the model's.
            span: asked in `[span[0], span[1])`.
            scored_by: role and version of the one that is tried.
        """
        role, version = scored_by
        with reading_cursor(self._engine) as cursor:
            n_asked: int = cursor.execute(_N_TRIED, (role, version, model, *span)).fetchone()[0]
        one_in = max(1, -(-n_asked // _MOST_TRIED))
        judged = _known(self._read(self._tried, model, label, (*span, role, version, one_in)))
        own = (judged.role == role) & (judged.version == version)
        champion = (judged.role == "champion") & np.isin(judged.prediction, judged.prediction[own])  # another may have been it before
        both = np.isin(judged.prediction, judged.prediction[champion])
        return Tried(judged.rows(own & both), judged.rows(champion), one_in)

    def followed(self, model: str, label: Label, span: tuple[int, int], *, beside: Beside = "nothing") -> Followed:
        """The predictions asked in `[span[0], span[1])`, one of each (key, version, role), with the outcome if it is known."""
        found = self._read(_FOLLOWED[beside], model, label, span)
        rows, with_texts, with_vectors = found.rows, beside != "nothing", beside == "vectors"
        return Followed(
            role=np.array([row[_ROLE] for row in rows], dtype=np.str_),
            version=np.array([row[_VERSION] for row in rows], dtype=np.int64),
            at_ms=np.array([row[_AT] for row in rows], dtype=np.int64),
            said=found.said,
            outcome=found.outcome,
            absent=found.absent,
            first_known_ms=np.array([-1 if row[_FIRST] is None else row[_FIRST] for row in rows], dtype=np.int64),
            n_told=np.array([row[_TOLD] for row in rows], dtype=np.int64),
            classes=found.classes,
            requests=[row[_REQUEST] for row in rows] if with_texts else (),
            texts=[row[_TEXTS] for row in rows] if with_texts else (),
            digests=[row[_DIGEST] for row in rows] if with_vectors else (),
            vectors=[row[_VECTOR] for row in rows] if with_vectors else (),
        )

    def close(self) -> None:
        """Let go of the databases."""
        self._engine.dispose()

    def _here(self, query: str) -> str:
        """The query as the databases of this home want it."""
        return query.replace(_BY_KEY, self._by_key).replace(_OF_KEYS, self._of_keys)

    def _read(self, query: str, model: str, label: Label, given: tuple[int | str, ...]) -> _Found:
        self._keys.catch_up()
        with reading_cursor(self._engine) as cursor:
            rows: list[_Row] = cursor.execute(self._here(query), (model, label.within_ms, *given)).fetchall()
            if not rows or rows[-1][_PROBABILITIES] is None:
                return _numbers(rows, label)
            known = {version: orjson.loads(text) for version, text in cursor.execute(CLASSES_OF, (model,)).fetchall()}
        return _of_classes(rows, label, known)


@dataclass(frozen=True)
class _Found:
    """n rows as they were read, with what was said and came of each; an outcome that is not known is NaN."""

    rows: Sequence[_Row]
    said: Floats
    outcome: Floats
    absent: float
    classes: tuple[Class, ...] = ()


def _known(found: _Found) -> Judged:
    """The rows whose outcome is known."""
    known = np.flatnonzero(~np.isnan(found.outcome)).tolist()
    kept = [found.rows[place] for place in known]
    return Judged(
        role=np.array([row[_ROLE] for row in kept], dtype=np.str_),
        version=np.array([row[_VERSION] for row in kept], dtype=np.int64),
        at_ms=np.array([row[_AT] for row in kept], dtype=np.int64),
        said=found.said[known],
        outcome=found.outcome[known],
        classes=found.classes,
        prediction=np.array([row[_ID] for row in kept], dtype=np.int64),
    )


def _numbers(rows: Sequence[_Row], label: Label) -> _Found:
    place = _EXPECTED if rows and rows[-1][_PROBABILITY] is None else _PROBABILITY
    kept = [row for row in rows if row[place] is not None]
    said, outcome = (np.array([row[column] for row in kept], dtype=np.float64) for column in (place, _VALUE))  # None becomes NaN
    return _Found(kept, said, outcome, np.nan if isinstance(label.absent, str) else float(label.absent))


def _of_classes(rows: Sequence[_Row], label: Label, known: Mapping[int, Sequence[Class]]) -> _Found:
    """Every row's probabilities in the columns of one list of classes; a class that its version does not know has none."""
    kept = [row for row in rows if row[_PROBABILITIES] is not None]
    told = [_class_told(row) for row in kept]
    absent = None if label.absent == "drop" else class_of(label.absent)
    versions = np.array([row[_VERSION] for row in kept], dtype=np.int64)
    held = np.unique(versions).tolist()
    named = {one for one in (*told, absent) if one is not None}
    classes = in_class_order({*named, *(one for version in held for one in known[version])})
    place: dict[Class | None, float] = {one: float(number) for number, one in enumerate(classes)}
    said = np.zeros((len(kept), len(classes)))
    for version in held:
        mine = np.flatnonzero(versions == version)
        packed = unpacked(b"".join(kept[row][_PROBABILITIES] for row in mine.tolist()))
        columns = np.array([place[one] for one in known[version]], dtype=np.int64)
        said[np.ix_(mine, columns)] = packed.reshape(len(mine), -1)
    outcome = np.array([place.get(one, np.nan) for one in told], dtype=np.float64)
    return _Found(kept, said, outcome, place.get(absent, np.nan), classes)


def _class_told(row: _Row) -> Class | None:
    outcome = row[_VALUE] if row[_TEXT] is None else row[_TEXT]
    return None if outcome is None else class_of(outcome)
