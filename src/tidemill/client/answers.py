"""What a server answers, as frozen dataclasses. A field that a newer server adds is left out, so that an older client goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Rejection:
    """An event that will not be applied: its place among those that were sent, a short code, and the same for a person."""

    index: int
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Receipt:
    """What became of events at the door; the engine has the last word. Rejected ones are kept as dead letters.

    Args:
        accepted: that were new.
        duplicates: whose id was known.
        rejected: the others, with why.
    """

    accepted: int
    duplicates: int
    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True)
class Reasons:
    """Why an answer is what it is: `typical + sum(contributions) + unexplained == said`; see docs/predicting.md.

    Args:
        scale: what is added up: `log_odds`, `log_share` or `value`.
        typical: what the version says of a typical row.
        said: what it said here.
        contributions: by column, the farthest from 0 first.
        unexplained: what three or more columns do only together.
        of: the class that is explained, where there are several.
    """

    scale: str
    typical: float
    said: float
    contributions: Mapping[str, float]
    unexplained: float
    of: str | int | None = None


@dataclass(frozen=True)
class PredictionMade:
    """One answer.

    Args:
        prediction_id: it is logged under.
        prediction: 1 or 0, the most probable class, or the value.
        model_version: that answered.
        position: token of the events that had been applied.
        probability: of outcome 1, where an outcome is 0 or 1.
        probabilities: by class, where it is one of several.
        value: where it is a number.
        missing: by column without a value, the age of its source's newest event in ms, None where no event fed it.
        explanation: where it was asked for.
    """

    prediction_id: str
    prediction: str | float
    model_version: int
    position: str
    probability: float | None = None
    probabilities: Mapping[str, float] | None = None
    value: float | None = None
    missing: Mapping[str, int | None] = field(default_factory=dict)
    explanation: Reasons | None = None


@dataclass(frozen=True)
class Features:
    """The features of one key at one position; None means missing."""

    view: str
    key: str
    at_ms: int
    source: str
    position: str
    values: Mapping[str, float | str | None]


@dataclass(frozen=True)
class ModelState:
    """A model as it is served.

    Args:
        model: its name.
        registered_name: in MLflow.
        versions: by role: champion, frozen, shadow, canary.
        task: binary, multiclass or regression.
        columns: what it reads, by name: number or text.
        predictions: how many it has made.
    """

    model: str
    registered_name: str
    versions: Mapping[str, int]
    task: str
    columns: Mapping[str, str]
    predictions: int


@dataclass(frozen=True)
class DecisionMade:
    """One decision of the loop; `outcome` is None while it is under way."""

    id: str
    model: str
    act: str
    trigger: str
    reason: str
    state: str
    outcome: str | None
    outcome_reason: str
    from_version: str | None
    to_version: str | None
    requested_at_ms: int
    decided_by: str = ""


def known(kind: type[T], raw: Mapping[str, Any]) -> T:
    """A dataclass of those fields of a JSON object that it has.

    >>> known(Rejection, {"index": 3, "reason": "late", "since": "a later server"})
    Rejection(index=3, reason='late', detail='')
    """
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]  # a dataclass, which type[T] cannot say
    return kind(**{name: value for name, value in raw.items() if name in names})


def receipt(raw: Mapping[str, Any]) -> Receipt:
    """Of the answer to events."""
    return Receipt(raw["accepted"], raw["duplicates"], tuple(known(Rejection, one) for one in raw["rejected"]))


def prediction(raw: Mapping[str, Any]) -> PredictionMade:
    """Of one answer."""
    why = raw.get("explanation")
    return known(PredictionMade, {**raw, "explanation": None if why is None else known(Reasons, why)})
