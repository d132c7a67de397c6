"""What the store of predictions takes and gives: a batch to log, logged ones as columns, what one version said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from tidemill.kernels import Floats
from tidemill.stores.answer import Answer, AnswerKind, Class

Role = Literal["champion", "frozen", "shadow", "canary"]


@dataclass(frozen=True)
class Answered:
    """One batch of predictions to log.

    Args:
        model: which.
        at_ms: the time of the question.
        made_wall_ms: the wall clock when it was answered.
        position: token of the position whose tiles were read.
        digest: of the definitions of views and tables.
        keys: (n,) the label's key of each request.
        requests: (n,) JSON of each request.
        numbers: (n, n_number_columns) float64, the vector's numbers in the model's order.
        scores: by role, the version that said it and what it said: (n,) probabilities or values, or (n, n_classes) probabilities.
            The champion scores every row, whoever answers it.
        texts: (n,) a JSON object of each vector's texts that its request does not hold; empty where there are none.
        kind: what the scores are.
        classes: by version, what the columns of its probabilities stand for.
        places: by role, the rows it scored, where those are not all.
    """

    model: str
    at_ms: int
    made_wall_ms: int
    position: str
    digest: str
    keys: Sequence[str]
    requests: Sequence[str]
    numbers: Floats
    scores: Mapping[Role, tuple[int, Floats]]
    texts: Sequence[bytes] = ()
    kind: AnswerKind = "probability"
    classes: Mapping[int, Sequence[Class]] = field(default_factory=dict)
    places: Mapping[Role, Sequence[int]] = field(default_factory=dict)

    def ids_of(self, role: Role, ids: Sequence[int]) -> Sequence[int]:
        """Of the ids of all rows those that a role scored."""
        return [ids[place] for place in self.places[role]] if role in self.places else ids


@dataclass(frozen=True)
class Served:
    """Logged predictions as columns, oldest first.

    Args:
        ids: (n,) rising.
        versions: (n,) of the champion.
        keys: (n,) of the label.
        at_ms: (n,) when each was asked.
        positions: (n,) tokens of the positions whose tiles were read.
        digests: (n,) of the definitions.
        requests: (n,) JSON.
        numbers: (n, n_number_columns) the vectors' numbers.
        texts: (n,) the vectors' texts beside their requests, as logged.
        scores: (n,) what the champion said as one number: the probability of 1, the value, or the probability of the foremost class.
    """

    ids: npt.NDArray[np.int64]
    versions: npt.NDArray[np.int64]
    keys: list[str]
    at_ms: npt.NDArray[np.int64]
    positions: list[str]
    digests: list[str]
    requests: list[str]
    numbers: Floats
    texts: list[bytes | None]
    scores: Floats

    def rows(self, places: npt.NDArray[np.int64]) -> Served:
        """The rows at these places."""
        return Served(
            ids=self.ids[places],
            versions=self.versions[places],
            keys=[self.keys[place] for place in places],
            at_ms=self.at_ms[places],
            positions=[self.positions[place] for place in places],
            digests=[self.digests[place] for place in places],
            requests=[self.requests[place] for place in places],
            numbers=self.numbers[places],
            texts=[self.texts[place] for place in places],
            scores=self.scores[places],
        )


@dataclass(frozen=True, slots=True)
class Score:
    """What one version said of one key."""

    prediction_id: int
    key: str
    at_ms: int
    role: str
    version: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: of which key, and when."""

    prediction_id: int
    key: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Said:
    """What was asked, and what was answered: by the champion, or by the canary."""

    id: int
    model: str
    key: str
    at_ms: int
    made_wall_ms: int
    position: str
    request: str
    version: int
    answer: Answer


def unpacked(probabilities: bytes) -> Floats:
    """(n,) the probabilities of one score as it is kept, or of several of one version behind one another."""
    return np.frombuffer(probabilities, dtype="<f4").astype(np.float64)


def stored(kind: AnswerKind, said: Floats) -> Iterable[tuple[float | None, float | None, bytes | None]]:
    """What was said as the columns `probability`, `value` and `probabilities`."""
    if kind == "probabilities":
        return [(None, None, row.tobytes()) for row in said.astype("<f4")]
    return [(one, None, None) if kind == "probability" else (None, one, None) for one in said.astype(np.float64).tolist()]


def as_served(rows: Sequence[Sequence[object]]) -> Served:
    """The columns of rows as `predictions` selects them."""
    ids, versions, keys, at_ms, positions, digests, requests, vectors, texts, *said = zip(*rows, strict=True) if rows else ((),) * 12
    numbers = np.frombuffer(b"".join(vectors))
    return Served(
        ids=np.array(ids, dtype=np.int64),
        versions=np.array(versions, dtype=np.int64),
        keys=list(keys),
        at_ms=np.array(at_ms, dtype=np.int64),
        positions=list(positions),
        digests=list(digests),
        requests=list(requests),
        numbers=numbers.reshape(len(ids), -1) if len(ids) else numbers.reshape(0, 0),
        texts=list(texts),
        scores=np.array([_as_score(*one) for one in zip(*said, strict=True)], dtype=np.float64),
    )


def _as_score(probability: float | None, value: float | None, packed: bytes | None) -> float:
    if packed is not None:
        return float(unpacked(packed).max())
    said = probability if value is None else value
    return np.nan if said is None else said
