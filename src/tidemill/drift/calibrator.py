"""What a score is worth: the share of rows with that score that turned out true, as a rising line through a few knots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidemill.drift.statistics import Floats

_MOST_BINS = 50
_BIN_ROWS = 50  # fewest rows of a bin: a knot is not made of a handful of outcomes


@dataclass(frozen=True)
class CalibrationMap:
    """Turns a score into a probability: a line through knots, flat beyond the first and the last.

    Args:
        scores: (n_knots,) rising.
        probabilities: (n_knots,) of the outcome at each, never falling.

    >>> CalibrationMap((0.2, 0.6), (0.1, 0.9)).apply(np.array([0.0, 0.4, 1.0])).round(6).tolist()
    [0.1, 0.5, 0.9]
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def apply(self, score: Floats) -> Floats:
        """(n,) scores -> (n,) probabilities."""
        return np.interp(score, self.scores, self.probabilities)

    @classmethod
    def fit(cls, true: Floats, score: Floats) -> CalibrationMap:
        """The map of rows the model has not learnt from: isotonic regression over at most 50 bins of as many rows each.

        Bins first, so that a knot is the share of at least 50 rows (or of all) and few numbers are kept; half a row that came true is
        added to each, and half one that did not, so that no score promises anything for certain.

        Args:
            true: (n,) 1 where the outcome came true, 0 where not; n > 0.
            score: (n,) what was said of it.

        Source: Zadrozny, Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", 2002; the regression is
        by pooling adjacent violators, Ayer et al., "An Empirical Distribution Function for Sampling with Incomplete Information", 1955.

        >>> score = np.repeat([0.2, 0.8], 500)
        >>> fitted = CalibrationMap.fit(np.tile([0.0, 1.0], 500), score)
        >>> fitted.apply(np.array([0.2, 0.8])).round(3).tolist()
        [0.5, 0.5]
        """
        order = np.argsort(score, kind="stable")
        n_bins = min(_MOST_BINS, max(1, len(order) // _BIN_ROWS))
        bins = np.array_split(order, n_bins)
        sizes = np.array([len(rows) for rows in bins], dtype=np.float64)
        shares = np.array([(true[rows].sum() + 0.5) / (len(rows) + 1.0) for rows in bins])
        knots = np.array([score[rows].mean() for rows in bins])
        knots, shares, sizes = _one_a_score(knots, shares, sizes)
        return cls(tuple(knots.tolist()), tuple(_never_falling(shares, sizes).tolist()))


@dataclass(frozen=True)
class Calibrator:
    """A map for each class, one against the rest; of two classes the map of class 1 tells both.

    >>> Calibrator((CalibrationMap((0.0, 1.0), (0.2, 0.6)),)).apply(np.array([[0.5, 0.5]])).round(6).tolist()
    [[0.6, 0.4]]
    """

    maps: tuple[CalibrationMap, ...]

    def apply(self, probabilities: Floats) -> Floats:
        """(n, n_classes) what the model said -> (n, n_classes) what that is worth; each row sums to 1."""
        if len(self.maps) == 1:
            true = self.maps[0].apply(probabilities[:, 1])
            return np.column_stack((1.0 - true, true))
        found = np.column_stack([one.apply(probabilities[:, place]) for place, one in enumerate(self.maps)])
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    @classmethod
    def fit(cls, outcome: Floats, probabilities: Floats) -> Calibrator:
        """The calibrator of rows the model has not learnt from.

        Args:
            outcome: (n,) the number of the class that came true; n > 0.
            probabilities: (n, n_classes) what the model said.
        """
        n_classes = probabilities.shape[1]
        wanted: Sequence[int] = (1,) if n_classes == 2 else range(n_classes)
        return cls(tuple(CalibrationMap.fit((outcome == one).astype(np.float64), probabilities[:, one]) for one in wanted))

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Calibrator:
        """The calibrator of `dataclasses.asdict`."""
        return cls(tuple(CalibrationMap(tuple(one["scores"]), tuple(one["probabilities"])) for one in raw["maps"]))


def _never_falling(shares: Floats, sizes: Floats) -> Floats:
    """The closest shares, weighted by size, that never fall: neighbours that do are pooled."""
    runs: list[list[float]] = []  # [sum, size, bins]
    for share, size in zip(shares.tolist(), sizes.tolist(), strict=True):
        runs.append([share * size, size, 1])
        while len(runs) > 1 and runs[-2][0] * runs[-1][1] >= runs[-1][0] * runs[-2][1]:
            last = runs.pop()
            runs[-1] = [one + other for one, other in zip(runs[-1], last, strict=True)]
    return np.repeat([run[0] / run[1] for run in runs], [int(run[2]) for run in runs])


def _one_a_score(knots: Floats, shares: Floats, sizes: Floats) -> tuple[Floats, Floats, Floats]:
    """Bins at the same score, as a model that says few different ones has, become one."""
    at, place = np.unique(knots, return_inverse=True)
    weight = np.asarray(np.bincount(place, sizes), dtype=np.float64)
    return at, np.bincount(place, sizes * shares) / weight, weight
