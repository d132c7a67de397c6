"""What differs between models of a yes or no, of one class of several, and of a number; everything else treats them alike.

```
task          an outcome              what is said of it (`said`)          an answer         the gate compares
binary        0 or 1                  (n,) the probability of 1            probability       log loss
multiclass    a text or whole number  (n, n_classes) the probabilities     probabilities     log loss
regression    a number                (n,) the value to expect             value             squared or absolute error
```
Within a training set, and wherever many rows are judged, an outcome is a float64: of several classes it is the place among the set's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.events import Column
from tidemill.features import Label
from tidemill.kernels import Floats
from tidemill.learning.metrics import Quality, class_losses, class_quality, losses, quality, value_quality
from tidemill.learning.task import Metric, Task, check_metric, task_of
from tidemill.stores import Answer, AnswerKind, Class
from tidemill.stores.answer import class_of, in_class_order

MAX_CLASSES = 100


@dataclass(frozen=True)
class Figure:
    """A metric as people see it.

    Args:
        name: the attribute of `Quality`.
        title: for people.
        more_is_better: or less.
        is_mean: of one number a row, so that the mean of several weeks, weighted by their rows, is that of all rows.
    """

    name: str
    title: str
    more_is_better: bool = False
    is_mean: bool = False


_LOG_LOSS, _AUC = Figure("log_loss", "Log loss", is_mean=True), Figure("auc", "AUC", more_is_better=True)
_ACCURACY = Figure("accuracy", "Accuracy", more_is_better=True, is_mean=True)
_RMSE, _MAE = Figure("rmse", "RMSE"), Figure("mae", "MAE", is_mean=True)
_R2 = Figure("r2", "R²", more_is_better=True)


class Objective(Protocol):
    """What a model is there for; one implementation a task."""

    @property
    def task(self) -> Task:
        """Which of the three."""
        ...

    @property
    def metric(self) -> Metric:
        """What the gate compares; smaller is better."""
        ...

    @property
    def kind(self) -> AnswerKind:
        """What an answer holds."""
        ...

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The metrics that people look at, the first one first; every one is in the `Quality` that it makes."""
        ...

    def encode(self, outcomes: Column) -> tuple[Floats, tuple[Class, ...]]:
        """(n,) outcomes without any missing as float64, and the classes that they are places of.

        Raises:
            ValueError: one that is none of this task, or too many classes.
        """
        ...

    def target(self, outcome: Floats) -> npt.NDArray[Any]:
        """(n,) what an estimator is fitted to."""
        ...

    def predict(self, estimator: Any, frame: pd.DataFrame, n_classes: int) -> Floats:
        """What a fitted estimator says of n rows; of `n_classes` columns where an outcome is one of so many."""
        ...

    def losses(self, outcome: Floats, said: Floats) -> Floats:
        """(n,) the loss of each row, whose mean is the metric."""
        ...

    def quality(self, outcome: Floats, said: Floats) -> Quality:
        """The metrics of n rows."""
        ...

    def loss(self, found: Quality) -> float | None:
        """The metric among them; None of no rows."""
        ...

    def score(self, said: Floats) -> Floats:
        """(n,) one number of each answer, to be watched like a column: the largest of several probabilities, else what was said."""
        ...

    def largest_difference(self, said: Floats, trained: Floats) -> tuple[float, npt.NDArray[np.bool_]]:
        """How far an exported model lies from the trained one at most, and (n,) the rows where that is too far."""
        ...

    def watched(self, outcome: float | str, answer: Answer) -> tuple[float, float] | None:
        """An outcome and what was said of it as `tidemill.drift.OutcomeMonitor` takes them; None where they are none of this task."""
        ...


@dataclass(frozen=True)
class Binary:
    """An outcome of 0 or 1."""

    task: ClassVar[Task] = "binary"
    metric: ClassVar[Metric] = "log_loss"
    kind: ClassVar[AnswerKind] = "probability"
    figures: ClassVar[tuple[Figure, ...]] = (_LOG_LOSS, _AUC)

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
        return _apart(np.abs(said - trained), 1e-5)

    def watched(self, outcome: float | str, answer: Answer) -> tuple[float, float] | None:
        """The outcome and the probability of 1."""
        return None if outcome not in (0, 1) or answer.probability is None else (float(outcome), answer.probability)


@dataclass(frozen=True)
class Multiclass:
    """An outcome that is one of several classes."""

    task: ClassVar[Task] = "multiclass"
    metric: ClassVar[Metric] = "log_loss"
    kind: ClassVar[AnswerKind] = "probabilities"
    figures: ClassVar[tuple[Figure, ...]] = (_LOG_LOSS, _AUC, _ACCURACY)

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
        return _apart(np.abs(said - trained).max(axis=1, initial=0.0), 1e-5)

    def watched(self, outcome: float | str, answer: Answer) -> tuple[float, float] | None:
        """Whether the most probable class came true, and its probability."""
        if answer.probabilities is None:
            return None
        foremost = answer.prediction
        return float(class_of(outcome) == foremost), min(answer.probabilities[class_of(foremost)], 1.0)


@dataclass(frozen=True)
class Regression:
    """An outcome that is a number."""

    task: ClassVar[Task] = "regression"
    kind: ClassVar[AnswerKind] = "value"
    metric: Metric = "squared_error"

    @property
    def figures(self) -> tuple[Figure, ...]:
        """That of the metric first."""
        return (_RMSE, _MAE, _R2) if self.metric == "squared_error" else (_MAE, _RMSE, _R2)

    def encode(self, outcomes: Column) -> tuple[Floats, tuple[Class, ...]]:
        """As they are."""
        return outcomes.astype(np.float64), ()

    def target(self, outcome: Floats) -> npt.NDArray[Any]:
        """As it is."""
        return outcome

    def predict(self, estimator: Any, frame: pd.DataFrame, n_classes: int) -> Floats:
        """(n,) values."""
        return np.asarray(estimator.predict(frame), dtype=np.float64).reshape(len(frame))

    def losses(self, outcome: Floats, said: Floats) -> Floats:
        """Squared or absolute errors."""
        off = outcome - said
        return off**2 if self.metric == "squared_error" else np.abs(off)

    def quality(self, outcome: Floats, said: Floats) -> Quality:
        """Errors and R²."""
        return value_quality(outcome, said)

    def loss(self, found: Quality) -> float | None:
        """The mean squared or absolute error."""
        return found.mae if self.metric == "absolute_error" or found.rmse is None else found.rmse**2

    def score(self, said: Floats) -> Floats:
        """The value."""
        return said

    def largest_difference(self, said: Floats, trained: Floats) -> tuple[float, npt.NDArray[np.bool_]]:
        """A value may differ by 1e-4 of the standard deviation of all of them; float32 holds seven digits, so what is served can."""
        spread = float(np.std(trained)) if len(trained) else 0.0
        return _apart(np.abs(said - trained), 1e-4 * spread if spread > 0.0 else 1e-6 * float(np.abs(trained).max(initial=1.0)))

    def watched(self, outcome: float | str, answer: Answer) -> tuple[float, float] | None:
        """The outcome and the value that was expected."""
        return None if isinstance(outcome, str) or answer.value is None else (outcome, answer.value)


def objective_of(label: Label, task: Task | None, metric: Metric | None, where: str) -> Objective:
    """What a model with this label is there for: what is said, or where it is not, what the label's values tell for certain.

    Args:
        label: of the model.
        task: as declared.
        metric: as declared; None means the first of the task.
        where: what an error is about.

    Raises:
        ProjectError: an unknown task or metric, one that does not fit the label, or a number of which nobody says what it is.
    """
    found = task_of(label, task, where)
    check_metric(found, metric, where)
    if found == "regression":
        return Regression(metric or "squared_error")
    return Binary() if found == "binary" else Multiclass()


def _apart(difference: Floats, most: float) -> tuple[float, npt.NDArray[np.bool_]]:
    return float(difference.max(initial=0.0)), ~(difference <= most)  # a NaN is too far too
