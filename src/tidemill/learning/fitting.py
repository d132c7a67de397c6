"""Fitting: one estimator on the older rows, judged on the newest; and one like it on all rows, for what is to serve."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from tidemill.errors import NotReadyError
from tidemill.kernels import Floats
from tidemill.learning.metrics import Quality
from tidemill.learning.model import Model
from tidemill.learning.training_set import TrainingSet

MIN_ROWS = 500


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator, and what is known of it.

    Args:
        estimator: of scikit-learn, fitted.
        train: the rows it was fitted on.
        gate: the newest rows.
        said: what an estimator that had not seen the newest rows said of them: (n_gate,), or (n_gate, n_classes).
        quality: of that.
        fits: how many estimators were fitted to come to this one.
    """

    estimator: Any
    train: TrainingSet
    gate: TrainingSet
    said: Floats
    quality: Quality
    fits: int = 1


def fit(model: Model, rows: TrainingSet) -> Fitted:
    """Fit on all but the newest `policy.gate` of the rows, and judge on those; `refit` makes of it what serves.

    Raises:
        NotReadyError: too few rows, or always the same outcome, to fit and to judge.
    """
    train, gate = rows.split(model.policy.gate_ms)
    for part, name in ((train, "fit on"), (gate, "judge on")):
        if len(part) < MIN_ROWS or len(np.unique(part.outcome)) < 2:
            raise NotReadyError(f"model {model.name!r} has {len(part)} rows to {name}; {MIN_ROWS} with more than one outcome are needed")
    estimator = fit_all(model, train)
    said = predict(model, estimator, gate.frame(), len(rows.classes))
    return Fitted(estimator, train, gate, said, model.objective.quality(gate.outcome, said))


def refit(model: Model, fitted: Fitted, rows: TrainingSet) -> Fitted:
    """The same kind of estimator fitted on all rows, the newest ones too: it is there that the world has moved."""
    return replace(fitted, estimator=fit_all(model, rows), train=rows, fits=fitted.fits + 1)


def fit_all(model: Model, rows: TrainingSet) -> Any:
    """An estimator fitted on every row, none held back."""
    with threadpool_limits(limits=_threads()):
        return model.estimator().fit(to_input(model, rows.frame()), model.objective.target(rows.outcome))


def predict(model: Model, estimator: Any, frame: pd.DataFrame, n_classes: int = 0) -> Floats:
    """What an estimator says of n rows: (n,) the probability of outcome 1, or the value; (n, n_classes) of several classes."""
    with threadpool_limits(limits=_threads()):
        return model.objective.predict(estimator, to_input(model, frame), n_classes)


def _threads() -> int:
    """A thread a core where OpenMP's threads sleep while they wait, which halves a fit on two idle cores; one otherwise.

    Threads that wait actively, OpenMP's default, make a fit beside other work slower than with one: 23 s against 12 s on two cores of
    which one was taken, and 13 s with passive waiting.
    """
    return len(os.sched_getaffinity(0)) if os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive" else 1


def to_input(model: Model, frame: pd.DataFrame) -> pd.DataFrame:
    """What an estimator is given: the vector's columns in order, missing text as ""; a served model has no other way to say it."""
    return frame[list(model.columns)].fillna({name: "" for name, kind in model.columns.items() if kind == "text"})
