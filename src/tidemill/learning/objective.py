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

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.events import Column
from tidemill.features import Label
from tidemill.kernels import Floats
from tidemill.learning.classification import Binary, Multiclass
from tidemill.learning.figures import Figure
from tidemill.learning.metrics import Quality
from tidemill.learning.regression import Regression
from tidemill.learning.task import Metric, Task, check_metric, task_of
from tidemill.stores import Answer, AnswerKind, Class


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
