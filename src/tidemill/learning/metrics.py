"""How good a model is: of an outcome that is 0 or 1, of one of several classes, and of a number."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.kernels import Floats

_LEAST = 1e-15


@dataclass(frozen=True, slots=True)
class Quality:
    """Metrics over `n` labelled predictions; None where they are not defined: no rows, one class, or a model of another kind.

    Args:
        n: how many.
        auc: of several classes the mean of each against all others.
        log_loss: the mean of the rows'.
        accuracy: the share whose most probable class came true; of several classes only.
        mae: the mean absolute error, in units of the outcome, as all that follow but `r2`.
        rmse: the root of the mean squared error.
        r2: the share of the outcomes' variance that is explained; below 0 where their mean alone would be better.
    """

    n: int
    auc: float | None = None
    log_loss: float | None = None
    accuracy: float | None = None
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None

    @property
    def figures(self) -> dict[str, float]:
        """Those that are defined, by name, without `n`."""
        named = {name: getattr(self, name) for name in ("auc", "log_loss", "accuracy", "mae", "rmse", "r2")}
        return {name: value for name, value in named.items() if value is not None}


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
        return Quality(0)
    return Quality(len(outcome), auc(outcome, probability), float(losses(outcome, probability).mean()))


def class_losses(outcome: Floats, said: Floats) -> Floats:
    """(n,) the log loss of each row: what was said of the class that came true.

    Args:
        outcome: (n,) the place of each row's class; -1 for one that nobody knew.
        said: (n, n_classes) probabilities.

    >>> class_losses(np.array([0.0, -1.0]), np.array([[1.0, 0.0], [0.5, 0.5]])).round(1) + 0.0
    array([ 0. , 34.5])
    """
    place = outcome.astype(np.int64)
    of_true = np.where(place >= 0, said[np.arange(len(place)), place], 0.0)
    return np.asarray(-np.log(np.clip(of_true, _LEAST, 1.0)), dtype=np.float64)


def class_quality(outcome: Floats, said: Floats) -> Quality:
    """The metrics of (n,) rows of several classes; see `class_losses`.

    Source: Provost, Domingos, "Well-Trained PETs", 2000 (AUC of each class against all others; here their plain mean).
    """
    if not len(outcome):
        return Quality(0)
    each = [auc((outcome == place).astype(np.float64), said[:, place]) for place in range(said.shape[1])]
    defined = [one for one in each if one is not None]
    return Quality(
        n=len(outcome),
        auc=float(np.mean(defined)) if defined else None,
        log_loss=float(class_losses(outcome, said).mean()),
        accuracy=float((said.argmax(axis=1) == outcome).mean()),
    )


def value_quality(outcome: Floats, value: Floats) -> Quality:
    """The metrics of (n,) rows whose outcome is a number."""
    if not len(outcome):
        return Quality(0)
    off = outcome - value
    squares, spread = float(np.mean(off**2)), float(np.var(outcome))
    r2 = 1.0 - squares / spread if spread > 0.0 else None
    return Quality(len(outcome), mae=float(np.abs(off).mean()), rmse=math.sqrt(squares), r2=r2)


def weekly(at_ms: npt.NDArray[np.int64], outcome: Floats, probability: Floats, week_ms: int) -> dict[int, Quality]:
    """The metrics of each week, by its start in ms."""
    weeks = at_ms // week_ms * week_ms
    return {int(week): quality(outcome[weeks == week], probability[weeks == week]) for week in np.unique(weeks)}
