"""What a model's metrics will come to, given how likely each outcome is: the expectation, and how far luck alone may take it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tidemill.drift.statistics import Floats
from tidemill.learning.measured import LEAST_PROBABILITY, predicted_class


@dataclass(frozen=True, slots=True)
class Expected:
    """A metric's expectation over n rows, and the standard deviation that drawing the n outcomes gives it.

    Of errors, that also holds that they are known from few rows.
    """

    value: float
    luck: float


def expect(said: Floats, worth: Floats) -> dict[str, Expected]:
    """The log loss, accuracy and AUC to be expected of n answers; a metric that cannot be (no rows, one class) is left out.

    Args:
        said: (n, n_classes) the probabilities that the model gave.
        worth: (n, n_classes) how likely each class is, given what was said; see `Calibrator`.

    Source: the idea, that calibrated probabilities alone give the confusion matrix to be expected, is that of Guillory et al.,
    "Predicting with Confidence on Unseen Distributions", 2021, and of NannyML's CBPE (Białek et al., "Estimating Model Performance Under
    Covariate Shift Without Labels", 2024). The luck is the exact standard deviation for the two means, and the delta method's for the AUC.

    >>> found = expect(np.array([[0.2, 0.8], [0.6, 0.4]]), np.array([[0.2, 0.8], [0.6, 0.4]]))
    >>> round(found["accuracy"].value, 6), round(found["log_loss"].value, 4)
    (0.7, 0.5867)
    """
    n = len(said)
    if not n:
        return {}
    found = {"log_loss": _log_loss(said, worth), "accuracy": _accuracy(said, worth)}
    area = _area(said, worth)
    return found if area is None else {**found, "auc": area}


def row_losses_expected(said: Floats, worth: Floats) -> Floats:
    """(n,) the log loss to be expected of each answer."""
    return np.asarray((worth * _surprise(said)).sum(axis=1), dtype=np.float64)


def _surprise(said: Floats) -> Floats:
    return np.asarray(-np.log(np.clip(said, LEAST_PROBABILITY, 1.0)), dtype=np.float64)


def _log_loss(said: Floats, worth: Floats) -> Expected:
    surprise, mean = _surprise(said), row_losses_expected(said, worth)
    variance = (worth * (surprise - mean[:, None]) ** 2).sum(axis=1)
    return Expected(float(mean.mean()), math.sqrt(float(variance.sum())) / len(said))


def _accuracy(said: Floats, worth: Floats) -> Expected:
    right = worth[np.arange(len(said)), predicted_class(said)]
    return Expected(float(right.mean()), math.sqrt(float((right * (1.0 - right)).sum())) / len(said))


def _area(said: Floats, worth: Floats) -> Expected | None:
    """Of several classes the mean of each against the rest; their luck is taken as shared, which is the most it can be."""
    n_classes = said.shape[1]
    wanted = (1,) if n_classes == 2 else range(n_classes)
    areas = [area for one in wanted if (area := _area_of(said[:, one], worth[:, one])) is not None]
    if not areas:
        return None
    return Expected(float(np.mean([area.value for area in areas])), float(np.mean([area.luck for area in areas])))


def _area_of(score: Floats, true: Floats) -> Expected | None:
    """The ratio of what is to be expected of both parts of the AUC: pairs in the right order, and pairs of one of each class.

    With y_i drawn with probability c_i, the pairs in the right order are the sum over i != j of y_i (1 - y_j) k_ij, where k_ij is 1 if i
    scores above j and half if they tie; both parts are linear in each y_i, so their derivatives at c are exact.
    """
    false = 1.0 - true
    _, place = np.unique(score, return_inverse=True)
    positives, negatives = np.bincount(place, true), np.bincount(place, false)
    below = (np.cumsum(negatives) - negatives / 2)[place] - false / 2  # negatives that each row scores above, itself left out
    above = (positives.sum() - np.cumsum(positives) + positives / 2)[place] - true / 2
    pairs = float(true.sum() * false.sum() - true @ false)
    if pairs <= 1e-9:
        return None
    area = float(true @ below) / pairs
    slope = (below - above - area * ((false.sum() - false) - (true.sum() - true))) / pairs
    return Expected(area, math.sqrt(float((true * false) @ (slope * slope))))
