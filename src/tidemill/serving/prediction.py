"""One answer as it is told: what was said, by whom, from what; what was missing; and, where it was asked for, why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from tidemill.learning import Explanation
from tidemill.learning.explaining import Scale
from tidemill.stores import Answer, Class


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer, logged under its id.

    Args:
        prediction_id: of the log.
        answer: what was said.
        model_version: who said it.
        position: token of the position that was read.
        missing: by column of the vector that had no value, how old the newest event of its view or table was, ms; None where it is of no
            stream, or of one without any event.
        explanation: by how much each column moved the answer, where that was asked for.
    """

    prediction_id: str
    answer: Answer
    model_version: int
    position: str
    missing: Mapping[str, int | None] = field(default_factory=dict)
    explanation: Explanation | None = None

    def fields(self) -> dict[str, object]:
        """As JSON shows it; what is not there is left out."""
        told: dict[str, object] = {
            "prediction_id": self.prediction_id,
            **self.answer.fields(),
            "model_version": self.model_version,
            "position": self.position,
        }
        if self.missing:
            told["missing"] = self.missing
        if self.explanation is not None:
            told["explanation"] = self.explanation.fields()
        return told


class Explained(TypedDict):
    """An answer taken apart: `typical + sum(contributions) + unexplained == said`; `of` is the explained one of several classes."""

    of: NotRequired[Class]
    scale: Scale
    typical: float
    said: float
    contributions: dict[str, float]
    unexplained: float


class _Told(TypedDict):
    prediction_id: str
    model_version: int
    position: str
    missing: NotRequired[dict[str, int | None]]
    explanation: NotRequired[Explained]


class PredictedProbability(_Told):
    """Of a binary model: the probability of 1, and 1 where it is at least a half. `missing` holds ages in ms."""

    prediction: Literal[0, 1]
    probability: float


class PredictedClass(_Told):
    """Of a multiclass model: the probability of each class, and the most probable one. `missing` holds ages in ms."""

    prediction: Class
    probabilities: dict[str, float]


class PredictedValue(_Told):
    """Of a regression: the value to expect. `missing` holds ages in ms."""

    prediction: float
    value: float


Predicted = PredictedProbability | PredictedClass | PredictedValue
