"""Learning by parts: an estimator with `partial_fit` goes on from its parameters on rows that it has not seen.

The served ONNX file has no training state, so the estimator itself is kept beside it, as a skops file: a description of attributes that is
rebuilt, and no pickle, which would run whatever it holds. Types beyond those that skops trusts are taken only from the libraries below.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from tidemill.errors import NotReadyError
from tidemill.learning.fitting import to_input
from tidemill.learning.model import Model
from tidemill.learning.training_set import TrainingSet

TRUSTED = ("sklearn.", "numpy.", "scipy.", "builtins.", "collections.")


def learns_by_parts(estimator: Any) -> bool:
    """Whether the estimator, or the last step of a pipeline, has `partial_fit`.

    >>> from sklearn.linear_model import LogisticRegression, SGDClassifier
    >>> learns_by_parts(SGDClassifier()), learns_by_parts(LogisticRegression())
    (True, False)
    """
    return hasattr(_last(estimator), "partial_fit")


def go_on(model: Model, estimator: Any, rows: TrainingSet) -> Any:
    """A copy that has learnt from these rows too; the steps before the last stay as they were fitted, so that a column means the same."""
    again, given = deepcopy(estimator), to_input(model, rows.frame())
    for _, step in getattr(again, "steps", [])[:-1]:
        given = step.transform(given)
    _last(again).partial_fit(given, model.objective.target(rows.outcome))
    return again


def to_bytes(estimator: Any) -> bytes:
    """The estimator as a skops file."""
    from skops import io  # here: it imports all of scikit-learn

    return bytes(io.dumps(estimator))


def from_bytes(content: bytes, where: str, also: Sequence[str] = (), instead: str = "retrain the model instead") -> Any:
    """The estimator of a skops file.

    Args:
        content: the file.
        where: what it is called, for the message.
        also: types of other libraries that are trusted too.
        instead: what to do where it names yet others.

    Raises:
        NotReadyError: it names types of other libraries than those that are trusted; nothing was built of it.
    """
    from skops import io

    unknown = [str(name) for name in io.get_untrusted_types(data=content)]
    foreign = [name for name in unknown if not name.startswith(TRUSTED) and name not in also]
    if foreign:
        raise NotReadyError(f"{where} names the types {', '.join(sorted(foreign))}, which are not trusted; {instead}")
    return io.loads(content, trusted=unknown)


def _last(estimator: Any) -> Any:
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
