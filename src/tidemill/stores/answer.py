"""What a version said of one question: a probability, one for each class, or a value; and how it is told to others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tidemill.kernels import Floats

Class = str | int
AnswerKind = Literal["probability", "probabilities", "value"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the three is there, by what the model predicts.

    Args:
        probability: of outcome 1, where an outcome is 0 or 1.
        probabilities: of each class that the version knows, where an outcome is one of several.
        value: the outcome to expect, where it is a number.

    >>> Answer(probabilities={"late": 0.75, "lost": 0.25}).fields()
    {'prediction': 'late', 'probabilities': {'late': 0.75, 'lost': 0.25}}
    >>> Answer(probability=0.5).prediction, Answer(value=12.5).prediction
    (1, 12.5)
    """

    probability: float | None = None
    probabilities: Mapping[Class, float] | None = None
    value: float | None = None

    @property
    def prediction(self) -> Class | float:
        """1 where its probability is at least a half, else 0; the class of the largest, the first of equal ones; or the value."""
        if self.probabilities is not None:
            return max(self.probabilities, key=self.probabilities.__getitem__)
        return int(self.probability >= 0.5) if self.probability is not None else self.value or 0.0

    def fields(self) -> dict[str, object]:
        """The same as JSON shows it, classes as texts."""
        if self.probabilities is not None:
            shown: object = {str(name): share for name, share in self.probabilities.items()}
            return {"prediction": self.prediction, "probabilities": shown}
        if self.probability is not None:
            return {"prediction": self.prediction, "probability": self.probability}
        return {"prediction": self.prediction, "value": self.value}


def to_answers(kind: AnswerKind, said: Floats, classes: Sequence[Class] = ()) -> list[Answer]:
    """What a model said of n questions, one by one.

    Args:
        kind: what it is.
        said: (n,), or (n, n_classes) probabilities.
        classes: what the columns stand for.
    """
    if kind == "probabilities":
        return [Answer(probabilities=dict(zip(classes, row, strict=True))) for row in said.tolist()]
    return [Answer(probability=one) if kind == "probability" else Answer(value=one) for one in said.tolist()]


def class_of(outcome: float | str) -> Class:
    """The class that an outcome names: its text, or its whole number.

    >>> class_of("lost"), class_of(3.0)
    ('lost', 3)
    """
    return outcome if isinstance(outcome, str) else int(outcome)


def in_class_order(classes: Iterable[Class]) -> tuple[Class, ...]:
    """Each class once, numbers by size, then texts by their letters; so that a list of the same classes is the same list."""
    return tuple(sorted(set(classes), key=lambda one: (isinstance(one, str), one)))
