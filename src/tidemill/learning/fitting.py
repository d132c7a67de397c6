"""Fitting: one estimator on the older rows, judged on the newest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from tidemill.errors import NotReadyError
from tidemill.learning.metrics import Quality, quality
from tidemill.learning.model import Model
from tidemill.learning.training_set import TrainingSet

MIN_ROWS = 500


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator with the rows it was fitted on and the newest ones it was judged on."""

    estimator: Any
    train: TrainingSet
    gate: TrainingSet
    quality: Quality


def fit(model: Model, rows: TrainingSet) -> Fitted:
    """Fit on all but the newest `policy.gate` of the rows, and judge on those.

    What is judged is what serves: the estimator is not refitted on the rows it was judged on.

    Raises:
        NotReadyError: too few rows, or one class only, to fit and to judge.
    """
    train, gate = rows.split(model.policy.gate_ms)
    for part, name in ((train, "fit on"), (gate, "judge on")):
        if len(part) < MIN_ROWS or len(np.unique(part.outcome)) < 2:
            raise NotReadyError(f"model {model.name!r} has {len(part)} rows to {name}; {MIN_ROWS} with both outcomes are needed")
    estimator = model.estimator()
    with threadpool_limits(limits=1):  # OpenMP's default of a thread a core makes a fit on a busy machine many times slower
        estimator.fit(to_input(model, train.frame()), train.outcome.astype(np.int64))
        probability = predict(model, estimator, gate.frame())
    return Fitted(estimator, train, gate, quality(gate.outcome, probability))


def predict(model: Model, estimator: Any, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """(n,) the probability of outcome 1."""
    return np.asarray(estimator.predict_proba(to_input(model, frame))[:, 1], dtype=np.float64)


def to_input(model: Model, frame: pd.DataFrame) -> pd.DataFrame:
    """What an estimator is given: the vector's columns in order, missing text as ""; a served model has no other way to say it."""
    return frame[list(model.columns)].fillna({name: "" for name, kind in model.columns.items() if kind == "text"})
