"""Test, then train: what the model that served then said of each row of a labelled stream, and what became known when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.cli.reference import Year
from tidemill.events import Column
from tidemill.kernels import Floats
from tidemill.learning import Model, predict
from tidemill.stores import Class

Places = npt.NDArray[np.int64]


class Scores(Protocol):
    """A model that answers; `OnnxModel` is one."""

    def score(self, columns: Mapping[str, Column], classes: Sequence[Class] = ()) -> Floats:
        """What it says of n vectors."""
        ...


class Scorer:
    """A fitted estimator with the face of an exported model."""

    def __init__(self, model: Model, estimator: Any) -> None:
        self._model = model
        self._estimator = estimator

    def score(self, columns: Mapping[str, Column], classes: Sequence[Class] = ()) -> Floats:
        """What it says of n vectors, as `OnnxModel.score`."""
        return predict(self._model, self._estimator, pd.DataFrame(dict(columns)), len(classes))


class Prequential:
    """The live rows of a stream on their way; versions count from 1, and 0 has answered nothing."""

    def __init__(self, year: Year) -> None:
        self.rows = year.rows.rows(year.live)
        self.known_at_ms = year.known_at_ms[year.live]
        self.version = np.zeros(len(self.rows), dtype=np.int64)
        self.probability = np.full(len(self.rows), np.nan)
        self._order = np.argsort(self.known_at_ms, kind="stable")
        self._known = self.known_at_ms[self._order]
        self._versions = 0

    @property
    def last_ms(self) -> int:
        """When the last row is asked."""
        return int(self.rows.at_ms[-1])

    def serve(self, scorer: Scores, after_ms: int, version: int | None = None) -> int:
        """From `after_ms` on this one answers, as a new version or as one that has served before; answers the version."""
        if version is None:
            self._versions = version = self._versions + 1
        mine = self.rows.at_ms > after_ms
        self.version[mine] = version
        if mine.any():
            self.probability[mine] = scorer.score(dict(self.rows.rows(mine).columns))
        return version

    def told(self, after_ms: int, until_ms: int) -> Places:
        """The rows whose outcomes became known in (after, until], in the order in which they did."""
        first, end = np.searchsorted(self._known, (after_ms, until_ms), side="right")
        return self._order[first:end]
