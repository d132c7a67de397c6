"""Predictions met by their outcomes: what quality is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.features import Label
from tidemill.kernels import Floats
from tidemill.stores.cursors import reading_cursor
from tidemill.stores.databases import Databases

# An outcome counts for a prediction when it became known after the question and within the label's time. Of each (key, version,
# role) the last prediction that has one is kept, with the last outcome that counts for it.
_JOIN = """
with met as (
  select p.id, s.role, s.version, p.at_ms, s.probability, o.value,
    row_number() over (partition by p.key, s.version, s.role order by p.id desc, o.number desc) as newest
  from prediction p
  join score s on s.prediction_id = p.id
  join state.outcome o on o.model = p.model and o.key = p.key and o.known_at_ms > p.at_ms and o.known_at_ms <= p.at_ms + ?2
  where p.model = ?1 and p.key in (select key from prediction where model = ?1 and at_ms >= ?3 and at_ms < ?4)
)
select role, version, at_ms, probability, value from met
where newest = 1 and at_ms >= ?3 and at_ms < ?4
order by id, role
"""


@dataclass(frozen=True)
class Judged:
    """(n,) outcomes beside what was said: `role` and `version` of who said it, `at_ms` when, `probability` what, `outcome` 0 or 1."""

    role: npt.NDArray[np.str_]
    version: npt.NDArray[np.int64]
    at_ms: npt.NDArray[np.int64]
    probability: Floats
    outcome: Floats

    def of_role(self, role: str) -> Judged:
        """The rows that one role said."""
        mine = self.role == role
        return Judged(self.role[mine], self.version[mine], self.at_ms[mine], self.probability[mine], self.outcome[mine])


class QualityReader:
    """Reads the databases `serving` and `state` side by side; writes nothing."""

    def __init__(self, databases: Databases) -> None:
        self._engine = databases.open_beside("serving", "state")

    def judged(self, model: str, label: Label, from_ms: int, to_ms: int) -> Judged:
        """The predictions asked in `[from_ms, to_ms)` whose outcome is known."""
        with reading_cursor(self._engine) as cursor:
            rows = cursor.execute(_JOIN, (model, label.within_ms, from_ms, to_ms)).fetchall()
        role, version, at_ms, probability, outcome = zip(*rows, strict=True) if rows else ((),) * 5
        return Judged(
            role=np.array(role, dtype=np.str_),
            version=np.array(version, dtype=np.int64),
            at_ms=np.array(at_ms, dtype=np.int64),
            probability=np.array(probability, dtype=np.float64),
            outcome=np.array(outcome, dtype=np.float64),
        )

    def close(self) -> None:
        """Let go of the databases."""
        self._engine.dispose()
