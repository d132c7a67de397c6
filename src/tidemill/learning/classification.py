"""The objectives of models that tell classes apart: a yes or no, or one of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.events import Column
from tidemill.kernels import Floats
from tidemill.learning.figures import ACCURACY, AUC, LOG_LOSS, Figure, too_far
from tidemill.learning.metrics import Quality, class_losses, class_quality, losses, quality
from tidemill.learning.task import Metric, Task
from tidemill.stores import Answer, AnswerKind, Class
from tidemill.stores.answer import class_of, in_class_order

MAX_CLASSES = 100


@dataclass(frozen=True)
class Binary:
    """An outcome of 0 or 1."""

    task: ClassVar[Task] = "binary"
    metric: ClassVar[Metric] = "log_loss"
    kind: ClassVar[AnswerKind] = "probability"
    figures: ClassVar[tuple[Figure, ...]] = (LOG_LOSS, AUC)

    def encode(self, outcomes: Column) -> tuple[Floats, tuple[Class, ...]]:
        """As they are."""
        values = outcomes.astype(np.float64)
        for bad in values[(values != 0) & (values != 1)][:1].tolist():
            raise ValueError(f"an outcome is {bad:g}, not 0 or 1; say task='multiclass' or 'regression', or make it a condition")
        return values, ()

    def target(self, outcome: Floats) -> npt.NDArray[Any]:
        """0 or 1, as integers."""
        return outcome.astype(np.int64)

    def predict(self, estimator: Any, frame: pd.DataFrame, n_classes: int) -> Floats:
        """(n,) the probability of 1."""
        return np.asarray(estimator.predict_proba(frame)[:, 1], dtype=np.float64)

    def losses(self, outcome: Floats, said: Floats) -> Floats:
        """Log losses."""
        return losses(outcome, said)

    def quality(self, outcome: Floats, said: Floats) -> Quality:
        """AUC and log loss."""
        return quality(outcome, said)

    def loss(self, found: Quality) -> float | None:
        """The log loss."""
        return found.log_loss

    def score(self, said: Floats) -> Floats:
        """The probability."""
        return said

    def largest_difference(self, said: Floats, trained: Floats) -> tuple[float, npt.NDArray[np.bool_]]:
        """A probability may differ by 1e-5."""
        return too_far(np.abs(said - trained), 1e-5)

    def watched(self, outcome: float | str, answer: Answer) -> tuple[float, float] | None:
        """The outcome and the probability of 1."""
        return None if outcome not in (0, 1) or answer.probability is None else (float(outcome), answer.probability)


@dataclass(frozen=True)
class Multiclass:
    """An outcome that is one of several classes."""

    task: ClassVar[Task] = "multiclass"
    metric: ClassVar[Metric] = "log_loss"
    kind: ClassVar[AnswerKind] = "probabilities"
    figures: ClassVar[tuple[Figure, ...]] = (LOG_LOSS, AUC, ACCURACY)

    def encode(self, outcomes: Column) -> tuple[Floats, tuple[Class, ...]]:
        """The place of each class among all of them."""
        told = [class_of(outcome) for outcome in outcomes.tolist()]
        classes = in_class_order(told)
        if len(classes) > MAX_CLASSES:
            raise ValueError(f"its outcomes are of {len(classes)} classes, at most {MAX_CLASSES} can be told apart; join the rare ones")
        place = {one: number for number, one in enumerate(classes)}
        return np.array([place[one] for one in told], dtype=np.float64), classes

    def target(self, outcome: Floats) -> npt.NDArray[Any]:
        """The places, as integers."""
        return outcome.astype(np.int64)

    def predict(self, estimator: Any, frame: pd.DataFrame, n_classes: int) -> Floats:
        """(n, n_classes) probabilities; 0 of a class that was not among the rows it was fitted on."""
        said = np.zeros((len(frame), n_classes))
        said[:, estimator.classes_] = estimator.predict_proba(frame)
        return said

    def losses(self, outcome: Floats, said: Floats) -> Floats:
        """Log losses."""
        return class_losses(outcome, said)

    def quality(self, outcome: Floats, said: Floats) -> Quality:
        """AUC, log loss and accuracy."""
        return class_quality(outcome, said)

    def loss(self, found: Quality) -> float | None:
        """The log loss."""
        return found.log_loss

    def score(self, said: Floats) -> Floats:
        """The probability of the most probable class."""
        return np.asarray(said.max(axis=1), dtype=np.float64)

    def largest_difference(self, said: Floats, trained: Floats) -> tuple[float, npt.NDArray[np.bool_]]:
        """A probability may differ by 1e-5."""
        return too_far(np.abs(said - trained).max(axis=1, initial=0.0), 1e-5)

    def watched(self, outcome: float | str, answer: Answer) -> tuple[float, float] | None:
        """Whether the most probable class came true, and its probability."""
        if answer.probabilities is None:
            return None
        foremost = answer.prediction
        return float(class_of(outcome) == foremost), min(answer.probabilities[class_of(foremost)], 1.0)
