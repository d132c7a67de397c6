"""The objective of models that predict a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.events import Column
from tidemill.kernels import Floats
from tidemill.learning.figures import MAE, R2, RMSE, Figure, too_far
from tidemill.learning.metrics import Quality, value_quality
from tidemill.learning.task import Metric, Task
from tidemill.stores import Answer, AnswerKind, Class


@dataclass(frozen=True)
class Regression:
    """An outcome that is a number."""

    task: ClassVar[Task] = "regression"
    kind: ClassVar[AnswerKind] = "value"
    metric: Metric = "squared_error"

    @property
    def figures(self) -> tuple[Figure, ...]:
        """That of the metric first."""
        return (RMSE, MAE, R2) if self.metric == "squared_error" else (MAE, RMSE, R2)

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
        return too_far(np.abs(said - trained), 1e-4 * spread if spread > 0.0 else 1e-6 * float(np.abs(trained).max(initial=1.0)))

    def watched(self, outcome: float | str, answer: Answer) -> tuple[float, float] | None:
        """The outcome and the value that was expected."""
        return None if isinstance(outcome, str) or answer.value is None else (outcome, answer.value)
