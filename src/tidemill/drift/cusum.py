"""Two CUSUMs on labelled outcomes: of wrong predictions, label by label, and of the calibrated residual y - p, block by block.

Page, "Continuous Inspection Schemes", 1954: a sum that gains on evidence for change, loses on evidence against, and never falls
below 0. Its last zero is the estimate of when the change began.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tidemill.drift.baseline import Baseline, OutcomeSettings


@dataclass(slots=True)
class _Sum:
    """One CUSUM: its value, where it last left 0, and what it has seen since then (labels, and their sum)."""

    value: float = 0.0
    since_ms: int = 0
    n_labels: int = 0
    total: float = 0.0

    def add(self, gain: float, at_ms: int, n_labels: int, total: float) -> float:
        value = self.value
        if value <= 0.0:
            self.since_ms, self.n_labels, self.total = at_ms, 0, 0.0
        value += gain
        self.value = value = value if value > 0.0 else 0.0
        self.n_labels += n_labels
        self.total += total
        return value


@dataclass(frozen=True)
class Change:
    """What a CUSUM found when it passed its threshold."""

    statistic: float
    threshold: float
    since_ms: int
    n_labels: int
    detail: str


class BernoulliCusum:
    """Has the share of wrong predictions grown to 1.15, 1.3 or 1.7 times the baseline's?

    One log-likelihood-ratio CUSUM a ratio, label by label. Errors of one day share their luck, so the log-likelihood is divided by
    the baseline's dispersion (quasi-likelihood): with independent errors the threshold is that of the textbook, with stormy days it
    takes as many more labels as the days are worse witnesses.

    >>> baseline = Baseline(1000, 7, 0.1, 0.1, 1.0, 0.0, 0.0, 0.09, 0.0)
    >>> cusum = BernoulliCusum(baseline, OutcomeSettings())
    >>> changes = [cusum.update(True, at_ms) for at_ms in range(30)]
    >>> next(at_ms for at_ms, change in enumerate(changes) if change)
    18
    """

    def __init__(self, baseline: Baseline, settings: OutcomeSettings) -> None:
        rate = baseline.error_limit
        self._rate, self._threshold = baseline.error_rate, settings.error_threshold
        self._gains = []
        for ratio in settings.error_ratios:
            worse = min(ratio * rate, (1.0 + rate) / 2.0)
            gains = math.log((1.0 - worse) / (1.0 - rate)), math.log(worse / rate)
            self._gains.append((gains[0] / baseline.error_dispersion, gains[1] / baseline.error_dispersion))
        self._sums = [_Sum() for _ in settings.error_ratios]

    @property
    def statistic(self) -> float:
        """The largest of the sums."""
        return max(each.value for each in self._sums)

    def update(self, wrong: bool, at_ms: int) -> Change | None:
        """Take one label in; the change found, if any, after which all sums start again at 0."""
        alarm = False
        for each, gains in zip(self._sums, self._gains, strict=True):
            alarm |= each.add(gains[wrong], at_ms, 1, wrong) >= self._threshold
        if not alarm:
            return None
        top = max(self._sums, key=lambda each: each.value)
        detail = f"{top.total / top.n_labels:.1%} of {top.n_labels} predictions were wrong, {self._rate:.1%} in the baseline"
        self.restart()
        return Change(top.value, self._threshold, top.since_ms, top.n_labels, detail)

    def restart(self) -> None:
        """Start again at 0 with the same baseline."""
        self._sums = [_Sum() for _ in self._sums]

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"sums": [asdict(each) for each in self._sums]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self._sums = [_Sum(**each) for each in state["sums"]]


class ResidualCusum:
    """Has the mean of the calibrated residual y - p moved, either way?

    A label's residual says little alone and its neighbours share its luck, so residuals are summed over blocks (a day) and each
    block's sum is judged by the spread of the baseline's blocks. A block ends when a label of a later one arrives; a label that
    comes late counts in the block open then.

    >>> baseline = Baseline(7000, 7, 0.1, 0.1, 1.0, 0.0, 0.0, 0.16, 0.0036)
    >>> cusum = ResidualCusum(baseline, OutcomeSettings(block_ms=100))
    >>> changes = [cusum.update(1, 0.75, at_ms) for at_ms in range(2_000)]
    >>> next(at_ms for at_ms, change in enumerate(changes) if change)
    200
    """

    def __init__(self, baseline: Baseline, settings: OutcomeSettings) -> None:
        self._baseline, self._settings = baseline, settings
        self._up, self._down = _Sum(), _Sum()
        self._block: int | None = None
        self._opened_ms = 0
        self._n = 0
        self._residuals = 0.0

    @property
    def statistic(self) -> float:
        """The larger of the two sums, as of the last complete block."""
        return max(self._up.value, self._down.value)

    def update(self, y: int, p: float, at_ms: int) -> Change | None:
        """Take one label in; the change found at the end of the block before it, if any, after which both sums start again at 0."""
        block = at_ms // self._settings.block_ms
        change = None
        if self._block is None or block > self._block:
            change = self._close() if self._n else None
            self._block, self._opened_ms, self._n, self._residuals = block, at_ms, 0, 0.0
        self._n += 1
        self._residuals += y - p
        return change

    def _close(self) -> Change | None:
        settings = self._settings
        z = self._baseline.block_z(self._n, self._residuals)
        z = min(max(z, -settings.residual_clip), settings.residual_clip)
        self._up.add(z - settings.residual_slack, self._opened_ms, self._n, self._residuals)
        self._down.add(-z - settings.residual_slack, self._opened_ms, self._n, self._residuals)
        if self.statistic < settings.residual_threshold:
            return None
        top = self._up if self._up.value >= self._down.value else self._down
        mean, low = top.total / top.n_labels, "low" if top is self._up else "high"
        center = self._baseline.center
        detail = f"predictions are too {low} by {abs(mean):.3f} on average over {top.n_labels} labels, {center:+.3f} in the baseline"
        self.restart()
        return Change(top.value, settings.residual_threshold, top.since_ms, top.n_labels, detail)

    def restart(self) -> None:
        """Start again at 0 with the same baseline; the open block stays open."""
        self._up, self._down = _Sum(), _Sum()

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "up": asdict(self._up),
            "down": asdict(self._down),
            "block": self._block,
            "opened_ms": self._opened_ms,
            "n": self._n,
            "residuals": self._residuals,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self._up, self._down = _Sum(**state["up"]), _Sum(**state["down"])
        self._block, self._opened_ms = state["block"], state["opened_ms"]
        self._n, self._residuals = state["n"], state["residuals"]
