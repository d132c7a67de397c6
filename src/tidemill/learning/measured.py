"""What labelled predictions say of a model: its metrics, each with an interval, over the rows of one window."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tidemill.kernels import Floats, Ints
from tidemill.learning.intervals import Figures, Interval, Z, wilson

LEAST_PROBABILITY = 1e-15
_SHARES = ("accuracy", "auc")


@dataclass(frozen=True)
class Measured:
    """Metrics over `n` rows, by name; one that is not defined (no rows, one class only) is not among them."""

    n: int = 0
    figures: Figures = field(default_factory=dict)


def possible(metric: str) -> tuple[float, float]:
    """The least and the most that a metric of a window can be.

    >>> possible("auc"), possible("rmse")
    ((0.0, 1.0), (0.0, inf))
    """
    return 0.0, 1.0 if metric in _SHARES else math.inf


def by_class(probability: Floats) -> Floats:
    """(n, 2) the probability of each class of a binary model, of (n,) those of class 1; (n, n_classes) is returned as it is.

    >>> by_class(np.array([0.25])).tolist()
    [[0.75, 0.25]]
    """
    return probability if probability.ndim == 2 else np.column_stack((1.0 - probability, probability))


def predicted_class(probabilities: Floats) -> Ints:
    """(n,) the most probable class of (n, n_classes); of equals the later one, as a score of exactly one half counts as 1."""
    last = probabilities.shape[1] - 1
    return np.asarray(last - np.argmax(probabilities[:, ::-1], axis=1), dtype=np.int64)


def measure(outcome: Floats, probability: Floats) -> Measured:
    """Log loss, accuracy and AUC of labelled rows; the intervals take the rows as independent.

    Args:
        outcome: (n,) the number of the class that came true.
        probability: (n,) of class 1, or (n, n_classes).

    Source: the interval of the AUC is that of DeLong, DeLong, Clarke-Pearson, "Comparing the Areas under Two or More Correlated ROC
    Curves", 1988; that of the accuracy is Wilson's; that of the log loss is the normal one.

    >>> found = measure(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.2, 0.9, 0.4, 0.3]))
    >>> found.n, found.figures["accuracy"].value, found.figures["auc"].value, round(found.figures["log_loss"].value, 4)
    (4, 0.75, 1.0, 0.4004)
    """
    n = len(outcome)
    if not n:
        return Measured()
    probabilities, classes = by_class(probability), outcome.astype(np.int64)
    loss = row_losses(classes, probabilities)
    figures = {
        "log_loss": _mean(loss),
        "accuracy": wilson(float((predicted_class(probabilities) == classes).sum()), n),
    }
    area = _one_against_rest(classes, probabilities)
    return Measured(n, figures if area is None else {**figures, "auc": area})


def measure_values(outcome: Floats, value: Floats) -> Measured:
    """MAE and RMSE of labelled rows whose outcome is a number; the intervals are normal ones that take the rows as independent.

    Source: the ends of the RMSE are the roots of those of the mean squared error.

    >>> measure_values(np.array([1.0, 2.0]), np.array([1.5, 1.5])).figures["mae"].value
    0.5
    """
    n = len(outcome)
    if not n:
        return Measured()
    off = np.abs(outcome - value)
    squares = _mean(off**2)
    ends = [None if end is None else math.sqrt(end) for end in (squares.low, squares.high)]
    return Measured(n, {"mae": _mean(off), "rmse": Interval(math.sqrt(squares.value), *ends)})


def _mean(positive: Floats) -> Interval:
    n, mean = len(positive), float(positive.mean())
    return Interval(mean) if n < 2 else Interval.around(mean, Z * float(positive.std(ddof=1)) / math.sqrt(n), (0.0, math.inf))


def row_losses(classes: Ints, probabilities: Floats) -> Floats:
    """(n,) minus the logarithm of what was given to the class that came true."""
    told = np.clip(probabilities, LEAST_PROBABILITY, 1.0)[np.arange(len(classes)), classes]
    return np.asarray(-np.log(told), dtype=np.float64)


def _one_against_rest(classes: Ints, probabilities: Floats) -> Interval | None:
    """The AUC; of several classes the mean of each against the rest, as sure as if all shared their luck."""
    n_classes = probabilities.shape[1]
    wanted = (1,) if n_classes == 2 else range(n_classes)
    areas = [area for one in wanted if (area := _area(classes == one, probabilities[:, one])) is not None]
    if not areas:
        return None
    value, error = (float(np.mean(column)) for column in zip(*areas, strict=True))
    return Interval.around(value, Z * error, (0.0, 1.0))


def _area(positive: npt.NDArray[np.bool_], score: Floats) -> tuple[float, float] | None:
    """The AUC and its standard error; None with one class."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return None
    _, place = np.unique(score, return_inverse=True)
    of_positive, of_negative = (np.bincount(place[side], minlength=place.max() + 1) for side in (positive, ~positive))
    beaten = (np.cumsum(of_negative) - of_negative / 2)[place[positive]] / n_negative  # the share each positive scores above
    beating = 1.0 - (np.cumsum(of_positive) - of_positive / 2)[place[~positive]] / n_positive
    parts = [float(side.var(ddof=1)) / len(side) if len(side) > 1 else 0.25 for side in (beaten, beating)]
    return float(beaten.mean()), math.sqrt(sum(parts))
