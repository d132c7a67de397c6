"""Quality before the labels: what a version's metrics probably are, from its answers alone, and how far that is to be trusted.

It sees what moves the answers: more of the rows that the model finds hard, or inputs that have gone missing. It cannot see a world in
which the same inputs have come to mean something else, as the answers are the same then; docs/quality.md says more. It is shown, and
decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.drift.calibrator import Calibrator
from tidemill.drift.error_tree import ErrorTree
from tidemill.drift.expected import Expected, expect
from tidemill.drift.statistics import Floats
from tidemill.learning.intervals import Interval, Z, student_quantile
from tidemill.learning.measured import Measured, by_class, measure, possible
from tidemill.stores import Class

WINDOWS_A_CYCLE = 7
_WINDOWS_MS = (DAY_MS, 6 * HOUR_MS, 3 * HOUR_MS, HOUR_MS, 15 * MINUTE_MS, 5 * MINUTE_MS, MINUTE_MS)
LEAST_WINDOWS = 3
LEAST_ROWS = 30  # of a window, to hold an estimate against it


def window_ms(cycle_ms: int) -> int:
    """The window that quality is told by: the longest plain one, a day at most, that a cycle has seven of.

    >>> window_ms(7 * DAY_MS) == DAY_MS, window_ms(DAY_MS) == 3 * HOUR_MS
    (True, True)
    """
    return next((each for each in _WINDOWS_MS if each * WINDOWS_A_CYCLE <= cycle_ms), _WINDOWS_MS[-1])


@dataclass(frozen=True)
class QualityReference:
    """What is needed to estimate a version's quality, from the newest rows of its training, judged by a model that had not seen them.

    A version that passed the gate was fitted again on all rows; these are the answers of its twin that was judged. Kept with the
    version as plain numbers, and never made anew from data.

    Args:
        calibrator: what an answer is worth; None of a number.
        values: the metrics of those rows.
        spread: of each metric, the standard deviation of a window's real value around the estimate, beyond the luck of its rows: weather,
            holidays; of a number as a share of the estimate. Each window was estimated with the calibrator, or the tree, of the others.
        n_windows: how many windows that was measured on; below 3 there was nothing to measure.
        window_ms: their length.
        classes: what the calibrator's columns stand for, where an outcome is one of several.
        errors: how far off answers are; of a number only.
    """

    calibrator: Calibrator | None
    values: Mapping[str, float]
    spread: Mapping[str, float]
    n_windows: int
    window_ms: int
    classes: tuple[Class, ...] = ()
    errors: ErrorTree | None = None

    @property
    def provisional(self) -> bool:
        """Whether the interval is too short, since too few windows were there to measure how much they differ."""
        return self.n_windows < LEAST_WINDOWS

    def interval(self, metric: str, expected: Expected) -> Interval:
        """The estimate of one metric over a window: the reach of luck, and that of the spread by Student's t, as windows are few."""
        spread = 0.0
        if not self.provisional:
            spread = student_quantile(self.n_windows - 1) * math.sqrt(1.0 + 1.0 / self.n_windows) * self.spread.get(metric, 0.0)
        if self.errors is not None:
            spread *= expected.value
        return Interval.around(expected.value, math.hypot(Z * expected.luck, spread), possible(metric))

    def worth(self, said: Floats) -> Floats:
        """(n, n_classes) answers -> (n, n_classes) how likely each class is then."""
        assert self.calibrator is not None, "a number is no class"
        return self.calibrator.apply(said)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> QualityReference:
        """The reference of `dataclasses.asdict`."""
        calibrator, errors = raw["calibrator"], raw.get("errors")  # versions made before errors were learnt have none
        parts = {
            "calibrator": None if calibrator is None else Calibrator.from_json(calibrator),
            "errors": None if errors is None else ErrorTree.from_json(errors),
            "classes": tuple(raw["classes"]),
        }
        return cls(**{**raw, **parts})


def profile_quality(
    outcome: Floats, probability: Floats, at_ms: npt.NDArray[np.int64], length_ms: int, classes: tuple[Class, ...] = ()
) -> QualityReference:
    """The reference of rows that the model has not learnt from.

    Args:
        outcome: (n,) the number of the class that came true; n > 0.
        probability: (n,) of class 1, or (n, n_classes).
        at_ms: (n,) stream time of each row.
        length_ms: of a window.
        classes: what the columns stand for, where an outcome is one of several.

    >>> rng = np.random.default_rng(0)
    >>> said = rng.random(7_000)
    >>> found = profile_quality((rng.random(7_000) < said).astype(float), said, np.arange(7_000) * DAY_MS // 1_000, DAY_MS)
    >>> found.n_windows, found.spread["accuracy"] < 0.02
    (7, True)
    """
    said = by_class(probability)
    gaps = _gaps(outcome, said, at_ms // length_ms)
    names = sorted({name for gap in gaps for name in gap})
    enough = len(gaps) >= LEAST_WINDOWS
    return QualityReference(
        calibrator=Calibrator.fit(outcome, said),
        values={name: figure.value for name, figure in measure(outcome, said).figures.items()},
        spread={name: spread_of([gap[name] for gap in gaps if name in gap]) for name in names} if enough else {},
        n_windows=len(gaps),
        window_ms=length_ms,
        classes=classes,
    )


def estimate_quality(said: Floats, reference: QualityReference) -> Measured:
    """The metrics to be expected of (n,) or (n, n_classes) answers of one version, each with its interval; no outcome is looked at."""
    return estimate_together([(by_class(said), reference)])


def estimate_together(parts: list[tuple[Floats, QualityReference]]) -> Measured:
    """The same for a window in which several versions answered: what each said, (n, n_classes), with its own reference.

    The spread is that of the version that answered most.
    """
    known = [(said, reference) for said, reference in parts if len(said)]
    if not known:
        return Measured()
    said = np.concatenate([part for part, _ in known])
    worth = np.concatenate([reference.worth(part) for part, reference in known])
    _, most = max(known, key=lambda part: len(part[0]))
    return Measured(len(said), {name: most.interval(name, expected) for name, expected in expect(said, worth).items()})


def _gaps(outcome: Floats, said: Floats, window: npt.NDArray[np.int64]) -> list[dict[str, tuple[float, float]]]:
    """Of each window of enough rows, by metric: real value minus estimate, and the luck; estimated with the calibrator of the others."""
    gaps = []
    for one in np.unique(window):
        here = window == one
        if here.sum() < LEAST_ROWS or (~here).sum() < LEAST_ROWS:
            continue
        worth = Calibrator.fit(outcome[~here], said[~here]).apply(said[here])
        real, expected = measure(outcome[here], said[here]).figures, expect(said[here], worth)
        gaps.append({name: (real[name].value - expected[name].value, expected[name].luck) for name in real.keys() & expected.keys()})
    return gaps


def spread_of(gaps: list[tuple[float, float]]) -> float:
    """The standard deviation of gaps, each with the luck it has anyway: by moments, what their squares have beyond those of luck."""
    beyond = float(np.mean([gap * gap - luck * luck for gap, luck in gaps])) if gaps else 0.0
    return math.sqrt(max(0.0, beyond))
