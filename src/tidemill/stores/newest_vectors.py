"""The newest vectors that were served: what features were worth lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import MetaData

from tidemill.kernels import Floats
from tidemill.stores.cursors import reading_cursor
from tidemill.stores.databases import Databases

NEWEST = 1_000
# The index by time is read from its end, so that at most `limit` rows are touched however many there are; what was served with other
# definitions or other columns is left out of those, not searched for behind them.
_NEWEST = """select at_ms, vector, texts from (
  select id, at_ms, digest, vector from prediction where model = ? order by at_ms desc, id desc limit ?
) newest left join prediction_text on prediction_id = id where digest = ? and length(vector) = ? order by at_ms desc, id desc"""
_BYTES = 8


@dataclass(frozen=True)
class Vectors:
    """Served vectors, newest first.

    Args:
        at_ms: (n,) int64, when each was asked.
        numbers: (n, n_number_columns) float64 with NaN for missing.
        texts: (n,) a JSON object of each vector's texts that its request does not hold; None where it has none.
    """

    at_ms: npt.NDArray[np.int64]
    numbers: Floats
    texts: Sequence[bytes | None]


class NewestVectors:
    """Reads the database `serving`, which `PredictionStore` has made; writes nothing."""

    def __init__(self, databases: Databases) -> None:
        self._engine = databases.open("serving", MetaData())

    def read(self, model: str, digest: str, n_columns: int, limit: int = NEWEST) -> Vectors:
        """Of the newest `limit` predictions of a model, the vectors that today's definitions made.

        Args:
            model: its name.
            digest: of its views and tables, `Model.source_digest`.
            n_columns: how many numbers a vector has today.
            limit: how many rows are read at most.
        """
        with reading_cursor(self._engine) as cursor:
            rows = cursor.execute(_NEWEST, (model, limit, digest, n_columns * _BYTES)).fetchall()
        times = np.array([row[0] for row in rows], dtype=np.int64)
        return Vectors(times, np.frombuffer(b"".join(row[1] for row in rows)).reshape(len(rows), n_columns), [row[2] for row in rows])

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()
