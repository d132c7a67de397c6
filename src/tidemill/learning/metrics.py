"""How good a model is: AUC and log loss, of all rows and of each week."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.kernels import Floats

_LEAST = 1e-15


@dataclass(frozen=True, slots=True)
class Quality:
    """Metrics over `n` labelled predictions; None where they are not defined (no rows, one class)."""

    n: int
    auc: float | None
    log_loss: float | None


def losses(outcome: Floats, probability: Floats) -> Floats:
    """(n,) the log loss of each row."""
    kept = np.clip(probability, _LEAST, 1 - _LEAST)
    return -np.where(outcome > 0.5, np.log(kept), np.log1p(-kept))


def auc(outcome: Floats, probability: Floats) -> float | None:
    """The chance that a positive row scores above a negative one, ties counted half; None with one class.

    Source: Mann, Whitney, "On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other", 1947.

    >>> auc(np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.2]))
    0.75
    """
    positive = outcome > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return None
    _, inverse, counts = np.unique(probability, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def quality(outcome: Floats, probability: Floats) -> Quality:
    """The metrics of (n,) rows."""
    if not len(outcome):
        return Quality(0, None, None)
    return Quality(len(outcome), auc(outcome, probability), float(losses(outcome, probability).mean()))


def weekly(at_ms: npt.NDArray[np.int64], outcome: Floats, probability: Floats, week_ms: int) -> dict[int, Quality]:
    """The metrics of each week, by its start in ms."""
    weeks = at_ms // week_ms * week_ms
    return {int(week): quality(outcome[weeks == week], probability[weeks == week]) for week in np.unique(weeks)}
