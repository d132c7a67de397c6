"""Predictions met by their outcomes: what quality is computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from tidemill.features import Label
from tidemill.kernels import Floats
from tidemill.stores.answer import Class, class_of, in_class_order
from tidemill.stores.cursors import reading_cursor
from tidemill.stores.databases import Databases
from tidemill.stores.predictions import CLASSES_OF, unpacked

# An outcome counts for a prediction when it became known after the question and within the label's time. Of each (key, version,
# role) the last prediction that has one is kept, with the last outcome that counts for it.
_JOIN = """
with met as (
  select p.id, s.role, s.version, p.at_ms, s.probability, s.value as expected, s.probabilities, o.value, o.text,
    row_number() over (partition by p.key, s.version, s.role order by p.id desc, o.number desc) as newest
  from prediction p
  join score s on s.prediction_id = p.id
  join state.outcome o on o.model = p.model and o.key = p.key and o.known_at_ms > p.at_ms and o.known_at_ms <= p.at_ms + ?2
  where p.model = ?1 and p.key in (select key from prediction where model = ?1 and at_ms >= ?3 and at_ms < ?4)
)
select role, version, at_ms, probability, expected, probabilities, value, text from met
where newest = 1 and at_ms >= ?3 and at_ms < ?4
order by id, role
"""
_ROLE, _VERSION, _AT, _PROBABILITY, _EXPECTED, _PROBABILITIES, _VALUE, _TEXT = range(8)
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
    """

    role: npt.NDArray[np.str_]
    version: npt.NDArray[np.int64]
    at_ms: npt.NDArray[np.int64]
    said: Floats
    outcome: Floats
    classes: tuple[Class, ...] = ()

    def of_role(self, role: str) -> Judged:
        """The rows that one role said."""
        mine = self.role == role
        columns = {name: getattr(self, name)[mine] for name in ("role", "version", "at_ms", "said", "outcome")}
        return replace(self, **columns)


class QualityReader:
    """Reads the databases `serving` and `state` side by side; writes nothing."""

    def __init__(self, databases: Databases) -> None:
        self._engine = databases.open_beside("serving", "state")

    def judged(self, model: str, label: Label, from_ms: int, to_ms: int) -> Judged:
        """The predictions asked in `[from_ms, to_ms)` whose outcome is known.

        Where the model's task was changed meanwhile, those of the newest one.
        """
        with reading_cursor(self._engine) as cursor:
            rows: list[_Row] = cursor.execute(_JOIN, (model, label.within_ms, from_ms, to_ms)).fetchall()
            if not rows or rows[-1][_PROBABILITIES] is None:
                return _judged_numbers(rows)
            classes = {version: orjson.loads(text) for version, text in cursor.execute(CLASSES_OF, (model,)).fetchall()}
        return _judged_classes(rows, classes)

    def close(self) -> None:
        """Let go of the databases."""
        self._engine.dispose()


def _judged_numbers(rows: Sequence[_Row]) -> Judged:
    place = _EXPECTED if rows and rows[-1][_PROBABILITY] is None else _PROBABILITY
    kept = [row for row in rows if row[place] is not None and row[_VALUE] is not None]
    return _judged(kept, np.array([row[place] for row in kept], dtype=np.float64), [row[_VALUE] for row in kept])


def _judged_classes(rows: Sequence[_Row], known: Mapping[int, Sequence[Class]]) -> Judged:
    """Every row's probabilities in the columns of one list of classes; a class that its version does not know has none."""
    kept = [row for row in rows if row[_PROBABILITIES] is not None]
    told = [class_of(row[_VALUE] if row[_TEXT] is None else row[_TEXT]) for row in kept]
    versions = np.array([row[_VERSION] for row in kept], dtype=np.int64)
    held = np.unique(versions).tolist()
    classes = in_class_order({*told, *(one for version in held for one in known[version])})
    place = {one: number for number, one in enumerate(classes)}
    said = np.zeros((len(kept), len(classes)))
    for version in held:
        mine = np.flatnonzero(versions == version)
        packed = unpacked(b"".join(kept[row][_PROBABILITIES] for row in mine.tolist()))
        columns = np.array([place[one] for one in known[version]], dtype=np.int64)
        said[np.ix_(mine, columns)] = packed.reshape(len(mine), -1)
    return _judged(kept, said, [place[one] for one in told], classes)


def _judged(rows: Sequence[_Row], said: Floats, outcome: Sequence[float], classes: tuple[Class, ...] = ()) -> Judged:
    return Judged(
        role=np.array([row[_ROLE] for row in rows], dtype=np.str_),
        version=np.array([row[_VERSION] for row in rows], dtype=np.int64),
        at_ms=np.array([row[_AT] for row in rows], dtype=np.int64),
        said=said,
        outcome=np.array(outcome, dtype=np.float64),
        classes=classes,
    )
