"""One model version under watch: it gathers a baseline from its first outcomes, and is judged against it after.

```
 task         error of an outcome                residual of an outcome                   detectors
 binary       0 or 1: on the wrong side          y - p                                    BernoulliCusum, ResidualCusum, Certainty
 multiclass   0 or 1: another class came true    came true (0, 1) - its probability       BernoulliCusum, ResidualCusum, Certainty
 regression   |residual|                         (y - p) / unit, at most 5 either way     SizeCusum, ResidualCusum, Certainty
```
A residual of a number is measured in units of its usual size, learnt from the version's first labels, and counts only so much: one
outcome that is a thousand times too large says no more than that it is too large.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np

from tidemill.drift.baseline import Baseline, BaselineBuilder, OutcomeSettings
from tidemill.drift.block_cusum import ResidualCusum
from tidemill.drift.certainty import Answer, Certainty
from tidemill.drift.cusum import BernoulliCusum, Change, ErrorCusum, SizeCusum
from tidemill.drift.sudden import SuddenErrors
from tidemill.learning import Task

Found = tuple[Change | None, Change | None, Change | None, Change | None]

_NOTHING: Found = (None, None, None, None)
_FARTHEST = 3.0  # usual distances from the middle that a predicted number counts as at most


class Watched:
    """A version of a binary model; what is found is of errors, of sudden ones, of residuals and of certainty, in this order throughout.

    Args:
        settings: of its monitor.
    """

    def __init__(self, settings: OutcomeSettings) -> None:
        self.settings = settings
        self.n_labels = 0
        self.baseline: Baseline | None = None
        self.judge: tuple[ErrorCusum, ResidualCusum] | None = None
        self.sudden: SuddenErrors | None = None
        self.certainty = Certainty(settings)
        self._builder = BaselineBuilder()

    @staticmethod
    def refuse_unless_fit(y: float, p: float) -> None:
        """Raise ValueError for an outcome that is not 0 or 1, or a probability that is none."""
        if not (y == 0 or y == 1):
            raise ValueError(f"an outcome is 0 or 1, not {y!r}")
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"a prediction is a probability from 0 to 1, not {p!r}")

    def update(self, y: float, p: float, at_ms: int) -> Found:
        """Take one outcome in; what the detectors found."""
        self.n_labels += 1
        return self._take(self._error(y, p), y - p, Answer(p, y - p, p * (1.0 - p)), at_ms)

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "n_labels": self.n_labels,
            "builder": self._builder.state(),
            "baseline": None if self.baseline is None else asdict(self.baseline),
            "judge": None if self.judge is None else [detector.state() for detector in self.judge],
            "sudden": None if self.sudden is None else self.sudden.state(),
            "certainty": self.certainty.state(),
        }

    @classmethod
    def from_state(cls, raw: Mapping[str, Any], settings: OutcomeSettings) -> Self:
        """The version as it was."""
        version = cls(settings)
        version.n_labels, version._builder = raw["n_labels"], BaselineBuilder.from_state(raw["builder"])
        if raw["baseline"] is not None:
            errors, residuals = version.judge = version._begin(Baseline(**raw["baseline"]))
            errors.load(raw["judge"][0])
            residuals.load(raw["judge"][1])
            if version.sudden is not None and raw.get("sudden") is not None:
                version.sudden.load(raw["sudden"])
        if "certainty" in raw:  # else it was saved before this was looked at, and gathers its baseline from now on
            version.certainty.load(raw["certainty"])
        return version

    def _error(self, y: float, p: float) -> int:
        return int((p >= self.settings.cut) != (y == 1))

    def _take(self, error: float, residual: float, answer: Answer, at_ms: int) -> Found:
        certainty = self.certainty.update(answer, at_ms)
        if self.judge is not None and self.sudden is not None:
            errors, residuals = self.judge
            return errors.update(error, at_ms), self.sudden.update(error, at_ms), residuals.update(residual, at_ms), certainty
        self._builder.add(error, residual, at_ms, self.settings)
        if self.n_labels >= self.settings.baseline_labels and self._builder.is_full(self.settings):
            self.judge = self._begin(self._freeze())
        return _NOTHING

    def _freeze(self) -> Baseline:
        return self._builder.freeze(self.settings)

    def _begin(self, baseline: Baseline) -> tuple[ErrorCusum, ResidualCusum]:
        self.baseline, self._builder = baseline, BaselineBuilder()
        self.sudden = SuddenErrors(baseline, self.settings)
        return self._detectors(baseline)

    def _detectors(self, baseline: Baseline) -> tuple[ErrorCusum, ResidualCusum]:
        return BernoulliCusum(baseline, self.settings), ResidualCusum(baseline, self.settings)


class WatchedClass(Watched):
    """A version that tells several classes apart."""

    def _error(self, y: float, p: float) -> int:
        return int(y == 0)

    def _detectors(self, baseline: Baseline) -> tuple[ErrorCusum, ResidualCusum]:
        return BernoulliCusum(baseline, self.settings), ResidualCusum(baseline, self.settings, _more_or_less_often)


class WatchedValue(Watched):
    """A version that predicts a number."""

    def __init__(self, settings: OutcomeSettings) -> None:
        super().__init__(settings)
        self._unit: float | None = None
        self._said = (0.0, 1.0)  # the middle of what is predicted, and the usual distance from it
        self._early: list[tuple[float, float, int]] = []  # the residuals, predictions and times before the unit is known

    @staticmethod
    def refuse_unless_fit(y: float, p: float) -> None:
        """Raise ValueError for a value that is not finite."""
        if not (math.isfinite(y) and math.isfinite(p)):
            raise ValueError(f"an outcome and its prediction are numbers, not {y!r} and {p!r}")

    def update(self, y: float, p: float, at_ms: int) -> Found:
        """Take one outcome in; what the detectors found."""
        self.n_labels += 1
        if self._unit is not None:
            return self._take_residual(y - p, p, at_ms)
        self._early.append((y - p, p, at_ms))
        if self.n_labels >= self.settings.baseline_labels:
            self._unit = _usual_size([residual for residual, _, _ in self._early])
            middle = float(np.median([predicted for _, predicted, _ in self._early]))
            self._said = middle, _usual_size([predicted - middle for _, predicted, _ in self._early])
            early, self._early = self._early, []
            for residual, predicted, then_ms in early:
                self._take_residual(residual, predicted, then_ms)
        return _NOTHING

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**super().state(), "unit": self._unit, "said": list(self._said), "early": [list(one) for one in self._early]}

    @classmethod
    def from_state(cls, raw: Mapping[str, Any], settings: OutcomeSettings) -> Self:
        """The version as it was."""
        if "said" not in raw:  # it was saved before predictions were looked at, and gathers its baseline anew
            return cls(settings)
        version = super().from_state(raw, settings)
        version._unit, version._said = raw["unit"], (raw["said"][0], raw["said"][1])
        version._early = [(residual, predicted, at_ms) for residual, predicted, at_ms in raw["early"]]
        return version

    def _take_residual(self, residual: float, predicted: float, at_ms: int) -> Found:
        most, unit = self.settings.most_off, self._unit or 1.0
        counted = min(max(residual / unit, -most), most)
        middle, distance = self._said
        said = min(max((predicted - middle) / distance, -_FARTHEST), _FARTHEST)
        return self._take(abs(counted), counted, Answer(said, counted * unit / distance, 1.0), at_ms)

    def _freeze(self) -> Baseline:
        return self._builder.freeze(self.settings, self._unit)

    def _detectors(self, baseline: Baseline) -> tuple[ErrorCusum, ResidualCusum]:
        return SizeCusum(baseline, self.settings), ResidualCusum(baseline, self.settings, _too_low_or_high)


WATCHED: dict[Task, type[Watched]] = {"binary": Watched, "multiclass": WatchedClass, "regression": WatchedValue}


def _usual_size(residuals: list[float]) -> float:
    """The standard deviation of normal residuals, from their median size; of ones that are mostly 0 the root of their mean square."""
    sizes = np.abs(residuals)
    usual = 1.4826 * float(np.median(sizes)) or float(np.sqrt(np.mean(sizes**2)))
    return usual or 1.0


def _more_or_less_often(rose: bool, mean: float, n_labels: int, baseline: Baseline) -> str:
    often = "more" if rose else "less"
    figures = f"by {abs(mean):.1%} over {n_labels} labels, {baseline.center:+.1%} in the baseline"
    return f"the most probable class came true {often} often than its probability said, {figures}"


def _too_low_or_high(rose: bool, mean: float, n_labels: int, baseline: Baseline) -> str:
    low, (off, before) = "low" if rose else "high", (each * baseline.unit + 0.0 for each in (mean, baseline.center))
    return f"predictions are too {low} by {abs(off):.3g} on average over {n_labels} labels, {before:+.3g} in the baseline"
