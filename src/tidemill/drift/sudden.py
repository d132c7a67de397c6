"""A CUSUM of errors of many a day is slow on purpose, as a day's errors share their luck; this sees what no luck of a day explains."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

from tidemill.drift.baseline import SUDDEN_LABELS, Baseline, OutcomeSettings
from tidemill.drift.cusum import Change


class SuddenErrors:
    """Has the mean error of the last 50 labels grown beyond what the luck of a day allows?

    The errors of a day are independent ones around a mean that has its own luck. Over m labels their sum has the variance
    m s + m^2 e, with s that of one error and e that of the luck, so that a great change shows within some ten labels, while one
    that luck could be never shows here. Five standard deviations warn, if that is also 2.5 times as far off as the worst 50 labels of
    the baseline were: the luck of an hour is not normal, and a storm is no change. Where the baseline knew storms a change must outlast
    them, and the CUSUMs tell it. After a warning the detector is silent until it is below half of its threshold.

    >>> baseline = Baseline(5_000, 7, 0.17, 0.2, 46.0, 0.0, 0.0, 0.14, 0.009, error_variance=0.14)
    >>> sudden = SuddenErrors(baseline, OutcomeSettings())
    >>> changes = [sudden.update(float(label >= 100), label) for label in range(200)]
    >>> next(label for label, change in enumerate(changes) if change), sum(change is not None for change in changes)
    (136, 1)
    """

    def __init__(self, baseline: Baseline, settings: OutcomeSettings) -> None:
        self._baseline = baseline
        spread = baseline.error_variance or baseline.error_rate * (1.0 - baseline.error_rate)
        luck = (baseline.error_dispersion - 1.0) * spread * baseline.n_blocks / baseline.n_labels
        self._deviation = math.sqrt(spread / SUDDEN_LABELS + luck)
        worst = baseline.error_rate + settings.sudden_margin * (baseline.error_peak - baseline.error_rate)
        self._threshold = max(settings.sudden_threshold, (worst - baseline.error_limit) / self._deviation)
        self._last: deque[tuple[float, int]] = deque(maxlen=SUDDEN_LABELS)
        self._total = 0.0
        self._silent = False

    @property
    def statistic(self) -> float:
        """How many standard deviations the last 50 labels are off; 0 before there are so many."""
        if len(self._last) < SUDDEN_LABELS:
            return 0.0
        return (self._total / SUDDEN_LABELS - self._baseline.error_limit) / self._deviation

    def update(self, error: float, at_ms: int) -> Change | None:
        """Take one label in; the change found, if any."""
        if len(self._last) == SUDDEN_LABELS:
            self._total -= self._last[0][0]
        self._last.append((error, at_ms))
        self._total += error
        statistic = self.statistic
        if self._silent or statistic < self._threshold:
            self._silent = self._silent and statistic >= self._threshold / 2.0
            return None
        self._silent = True
        mean, usual = self._total / SUDDEN_LABELS, self._baseline.error_rate
        detail = (
            f"the mean error of the last {SUDDEN_LABELS} labels is {mean:.3g}, {usual:.3g} in the baseline: no luck of a day explains that"
        )
        return Change(statistic, self._threshold, self._last[0][1], SUDDEN_LABELS, detail)

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"last": [list(one) for one in self._last], "total": self._total, "silent": self._silent}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self._last = deque(((error, at_ms) for error, at_ms in state["last"]), maxlen=SUDDEN_LABELS)
        self._total, self._silent = state["total"], state["silent"]
