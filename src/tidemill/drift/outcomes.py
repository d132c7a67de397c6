"""Watches labelled outcomes by model version, and says when a version has become worse than its own beginning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidemill.drift.baseline import Baseline, OutcomeSettings
from tidemill.drift.cusum import Change
from tidemill.drift.watched import WATCHED, Watched
from tidemill.learning import Task

Detector = Literal["error", "size", "sudden", "residual", "certainty"]


@dataclass(frozen=True)
class Alarm:
    """A version's outcomes changed; the one detector signal that may ask for a retrain.

    Args:
        model_version: the version that predicted them.
        detector: `error` (wrong predictions), `size` (of the errors, where outcomes are numbers), `sudden` (either, within 50 labels),
            `residual` (mean of y - p) or `certainty` (differences between answers are worth less than they were).
        statistic: the CUSUM when it passed.
        threshold: what it passed.
        since_ms: stream time at which the change is taken to have begun, the CUSUM's last zero.
        at_ms: stream time of the label that gave the alarm.
        n_labels: labels of the version since then.
        detail: the same for a person.
    """

    model_version: str
    detector: Detector
    statistic: float
    threshold: float
    since_ms: int
    at_ms: int
    n_labels: int
    detail: str


class OutcomeMonitor:
    """The outcomes of every version of one model, each held against its own baseline.

    A label counts for the version that predicted it: after a promotion labels of the old one keep coming, and would spoil the new
    one's baseline. A version's first 500 labels and first whole cycle are its baseline, frozen for good; after an alarm only the
    CUSUM that gave it starts again. Feed labels in the order known. What y and p are depends on the task:

    - binary: the outcome, 0 or 1, and the probability of 1 that was predicted. It is wrong where p is on the other side of the cut.
    - multiclass: whether the most probable class came true, 0 or 1, and its probability. It is wrong where y is 0.
    - regression: the outcome and the value that was predicted. The size of the error is |y - p|.

    >>> monitor = OutcomeMonitor(OutcomeSettings(baseline_ms=1_000, block_ms=100))
    >>> for i in range(1_001):
    ...     alarm = monitor.update("1", i % 4 == 0, 0.25, i)
    >>> monitor.baseline("1").n_labels, alarm
    (1001, None)
    >>> alarms = [monitor.update("1", 1, 0.25, i) for i in range(1_001, 1_301)]
    >>> [(alarm.detector, alarm.since_ms) for alarm in alarms if alarm][0]
    ('error', 1001)
    """

    def __init__(self, settings: OutcomeSettings | None = None, task: Task = "binary") -> None:
        self.settings, self.task = settings or OutcomeSettings(), task
        self._versions: dict[str, Watched] = {}

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions with outcomes, in the order first seen."""
        return tuple(self._versions)

    def baseline(self, version: str) -> Baseline | None:
        """The frozen yardstick of a version; None while it is being gathered."""
        held = self._versions.get(version)
        return None if held is None else held.baseline

    def statistics(self, version: str) -> dict[Detector, float]:
        """The CUSUMs of a version now, to be shown against the thresholds of the settings; empty before its baseline is full."""
        held = self._versions.get(version)
        if held is None or held.judge is None:
            return {}
        errors: Detector = "size" if self.task == "regression" else "error"
        found: dict[Detector, float] = {errors: held.judge[0].statistic, "residual": held.judge[1].statistic}
        certainty = held.certainty.statistic
        return found if certainty is None else found | {"certainty": certainty}

    def n_labels(self, version: str) -> int:
        """Labels taken in for a version, its baseline included."""
        return self._versions[version].n_labels if version in self._versions else 0

    def update(self, version: str, y: float, p: float, at_ms: int) -> Alarm | None:
        """Take one outcome in.

        Args:
            version: the version that predicted.
            y: what came true; see above.
            p: what was predicted of it.
            at_ms: stream time at which the outcome became known.

        Returns:
            At most one alarm; when several detectors pass at once, that of the errors.

        Raises:
            ValueError: y is not 0 or 1, or p not within 0 to 1; where they are values, one that is not finite.
        """
        WATCHED[self.task].refuse_unless_fit(y, p)
        return self._update(version, float(y), float(p), int(at_ms))

    def update_many(self, version: str, y: npt.ArrayLike, p: npt.ArrayLike, at_ms: npt.ArrayLike) -> list[Alarm]:
        """Take (n,) outcomes in; exactly what `update` one by one would do.

        Raises:
            ValueError: as `update`, or arrays of different lengths; nothing is taken in then.
        """
        ys, ps, times = (np.asarray(values).ravel() for values in (y, p, at_ms))
        if not ys.size == ps.size == times.size:
            raise ValueError(f"{ys.size} outcomes, {ps.size} predictions and {times.size} times do not match")
        rows = list(zip(ys.astype(float).tolist(), ps.astype(float).tolist(), times.astype(int).tolist(), strict=True))
        for y_one, p_one, _ in rows:
            WATCHED[self.task].refuse_unless_fit(y_one, p_one)
        return [alarm for alarm in (self._update(version, *row) for row in rows) if alarm is not None]

    def forget(self, version: str) -> None:
        """Drop a version that will get no more labels."""
        self._versions.pop(version, None)

    def state(self) -> dict[str, Any]:
        """Everything a restart needs, as plain JSON values; the settings are not part of it."""
        return {"task": self.task, "versions": {name: version.state() for name, version in self._versions.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], settings: OutcomeSettings | None = None) -> OutcomeMonitor:
        """The monitor as it was; `settings` must be those it was made with."""
        monitor = cls(settings, state.get("task", "binary"))
        kind = WATCHED[monitor.task]
        monitor._versions = {name: kind.from_state(raw, monitor.settings) for name, raw in state["versions"].items()}
        return monitor

    def _update(self, version: str, y: float, p: float, at_ms: int) -> Alarm | None:
        held = self._versions.get(version)
        if held is None:
            held = self._versions[version] = WATCHED[self.task](self.settings)
        wrong, sudden, moved, less_worth = held.update(y, p, at_ms)
        if wrong is not None:
            errors: Detector = "size" if self.task == "regression" else "error"
            return _alarm(version, errors, at_ms, wrong)
        if sudden is not None:
            return _alarm(version, "sudden", at_ms, sudden)
        if moved is not None:
            return _alarm(version, "residual", at_ms, moved)
        return None if less_worth is None else _alarm(version, "certainty", at_ms, less_worth)


def _alarm(version: str, detector: Detector, at_ms: int, change: Change) -> Alarm:
    return Alarm(model_version=version, detector=detector, at_ms=at_ms, **asdict(change))
