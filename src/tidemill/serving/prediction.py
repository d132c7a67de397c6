"""One answer as it is told: what was said, by whom, from what; what was missing; and, where it was asked for, why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidemill.learning import Explanation
from tidemill.stores import Answer


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
