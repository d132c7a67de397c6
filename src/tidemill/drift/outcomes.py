"""Watches labelled outcomes by model version, and says when a version has become worse than its own beginning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidemill.drift.baseline import Baseline, BaselineBuilder, OutcomeSettings
from tidemill.drift.cusum import BernoulliCusum, Change, ResidualCusum

Detector = Literal["error", "residual"]


@dataclass(frozen=True)
class Alarm:
    """A version's outcomes changed; the one detector signal that may ask for a retrain.

    Args:
        model_version: the version that predicted them.
        detector: `error` (wrong predictions) or `residual` (mean of y - p).
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


@dataclass
class _Version:
    """One version: gathering its baseline until `judge` is set, judged against it after."""

    builder: BaselineBuilder
    n_labels: int = 0
    baseline: Baseline | None = None
    judge: tuple[BernoulliCusum, ResidualCusum] | None = None

    def update(self, y: int, p: float, at_ms: int, settings: OutcomeSettings) -> tuple[Detector, Change] | None:
        self.n_labels += 1
        if self.judge is None:
            self.builder.add(y, p, at_ms, settings)
            if self.n_labels >= settings.baseline_labels and self.builder.is_full(settings):
                self.begin(self.builder.freeze(settings), settings)
            return None
        errors, residuals = self.judge
        wrong = errors.update((p >= settings.cut) != (y == 1), at_ms)
        moved = residuals.update(y, p, at_ms)
        if wrong is not None:
            return "error", wrong
        return None if moved is None else ("residual", moved)

    def begin(self, baseline: Baseline, settings: OutcomeSettings) -> tuple[BernoulliCusum, ResidualCusum]:
        self.baseline = baseline
        self.builder = BaselineBuilder()
        self.judge = BernoulliCusum(baseline, settings), ResidualCusum(baseline, settings)
        return self.judge


class OutcomeMonitor:
    """The outcomes of every version of one binary model, each held against its own baseline.

    A label counts for the version that predicted it: after a promotion labels of the old one keep coming, and would spoil the new
    one's baseline. A version's first 500 labels and first whole cycle are its baseline, frozen for good; after an alarm only the
    CUSUM that gave it starts again. Only binary outcomes: y is 0 or 1, p the probability of 1. Feed labels in the order known.

    >>> monitor = OutcomeMonitor(OutcomeSettings(baseline_ms=1_000, block_ms=100))
    >>> for i in range(1_001):
    ...     alarm = monitor.update("1", i % 4 == 0, 0.25, i)
    >>> monitor.baseline("1").n_labels, alarm
    (1001, None)
    >>> alarms = [monitor.update("1", 1, 0.25, i) for i in range(1_001, 1_301)]
    >>> [(alarm.detector, alarm.since_ms) for alarm in alarms if alarm][0]
    ('error', 1001)
    """

    def __init__(self, settings: OutcomeSettings | None = None) -> None:
        self.settings = settings or OutcomeSettings()
        self._versions: dict[str, _Version] = {}

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
        return {"error": held.judge[0].statistic, "residual": held.judge[1].statistic}

    def n_labels(self, version: str) -> int:
        """Labels taken in for a version, its baseline included."""
        return self._versions[version].n_labels if version in self._versions else 0

    def update(self, version: str, y: int, p: float, at_ms: int) -> Alarm | None:
        """Take one outcome in.

        Args:
            version: the version that predicted.
            y: the outcome, 0 or 1.
            p: the probability of 1 it predicted.
            at_ms: stream time at which the outcome became known.

        Returns:
            At most one alarm; when both detectors pass at once, that of the errors.

        Raises:
            ValueError: y is not 0 or 1, or p not within 0 to 1.
        """
        _refuse_unless_binary(y, p)
        return self._update(version, int(y), float(p), int(at_ms))

    def update_many(self, version: str, y: npt.ArrayLike, p: npt.ArrayLike, at_ms: npt.ArrayLike) -> list[Alarm]:
        """Take (n,) outcomes in; exactly what `update` one by one would do.

        Raises:
            ValueError: as `update`, or arrays of different lengths; nothing is taken in then.
        """
        ys, ps, times = (np.asarray(values).ravel() for values in (y, p, at_ms))
        if not ys.size == ps.size == times.size:
            raise ValueError(f"{ys.size} outcomes, {ps.size} predictions and {times.size} times do not match")
        for bad in np.flatnonzero(~(((ys == 0) | (ys == 1)) & (ps >= 0) & (ps <= 1)))[:1]:
            _refuse_unless_binary(ys[bad], ps[bad])
        rows = zip(ys.astype(int).tolist(), ps.astype(float).tolist(), times.astype(int).tolist(), strict=True)
        return [alarm for alarm in (self._update(version, *row) for row in rows) if alarm is not None]

    def forget(self, version: str) -> None:
        """Drop a version that will get no more labels."""
        self._versions.pop(version, None)

    def state(self) -> dict[str, Any]:
        """Everything a restart needs, as plain JSON values; the settings are not part of it."""
        return {"versions": {name: _state(version) for name, version in self._versions.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], settings: OutcomeSettings | None = None) -> OutcomeMonitor:
        """The monitor as it was; `settings` must be those it was made with."""
        monitor = cls(settings)
        monitor._versions = {name: _version(raw, monitor.settings) for name, raw in state["versions"].items()}
        return monitor

    def _update(self, version: str, y: int, p: float, at_ms: int) -> Alarm | None:
        held = self._versions.get(version)
        if held is None:
            held = self._versions[version] = _Version(BaselineBuilder())
        found = held.update(y, p, at_ms, self.settings)
        if found is None:
            return None
        detector, change = found
        return Alarm(model_version=version, detector=detector, at_ms=at_ms, **asdict(change))


def _refuse_unless_binary(y: Any, p: Any) -> None:
    if not (y == 0 or y == 1):
        raise ValueError(f"an outcome is 0 or 1, not {y!r}; other targets are not monitored by this detector")
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"a prediction is a probability from 0 to 1, not {p!r}")


def _state(version: _Version) -> dict[str, Any]:
    return {
        "n_labels": version.n_labels,
        "builder": version.builder.state(),
        "baseline": None if version.baseline is None else asdict(version.baseline),
        "judge": None if version.judge is None else [detector.state() for detector in version.judge],
    }


def _version(raw: Mapping[str, Any], settings: OutcomeSettings) -> _Version:
    version = _Version(BaselineBuilder.from_state(raw["builder"]), raw["n_labels"])
    if raw["baseline"] is not None:
        errors, residuals = version.begin(Baseline(**raw["baseline"]), settings)
        errors.load(raw["judge"][0])
        residuals.load(raw["judge"][1])
    return version
