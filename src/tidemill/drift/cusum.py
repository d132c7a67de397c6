"""CUSUMs on labelled outcomes: of wrong predictions or of the size of errors, label by label, and of the residual y - p, block by block.

Page, "Continuous Inspection Schemes", 1954: a sum that gains on evidence for change, loses on evidence against, and never falls
below 0. Its last zero is the estimate of when the change began.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tidemill.drift.baseline import Baseline, OutcomeSettings

_MOST_STAKED = 0.9  # of the limit's worth: a size of 0 must leave something
Saying = Callable[[bool, float, int, Baseline], str]  # whether the mean residual rose, what it is, over how many labels, and before


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


class ErrorCusum(ABC):
    """Has the mean error grown to 1.15, 1.3 or 1.7 times the baseline's? One CUSUM a ratio, label by label."""

    def __init__(self, baseline: Baseline, settings: OutcomeSettings) -> None:
        self._baseline, self._threshold = baseline, settings.error_threshold
        self._sums = [_Sum() for _ in settings.error_ratios]

    @property
    def statistic(self) -> float:
        """The largest of the sums."""
        return max(each.value for each in self._sums)

    def update(self, error: float, at_ms: int) -> Change | None:
        """Take one label in; the change found, if any, after which all sums start again at 0."""
        alarm = False
        for each, gain in zip(self._sums, self._gains(error), strict=True):
            alarm |= each.add(gain, at_ms, 1, error) >= self._threshold
        if not alarm:
            return None
        top = max(self._sums, key=lambda each: each.value)
        detail = self._detail(top.total / top.n_labels, top.n_labels)
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

    @abstractmethod
    def _gains(self, error: float) -> Sequence[float]:
        """What an error adds to each sum."""

    @abstractmethod
    def _detail(self, mean: float, n_labels: int) -> str:
        """For a person: the mean error since the change, of so many labels."""


class BernoulliCusum(ErrorCusum):
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
        super().__init__(baseline, settings)
        rate, dispersion = baseline.error_limit, baseline.error_dispersion
        worse = [min(ratio * rate, (1.0 + rate) / 2.0) for ratio in settings.error_ratios]
        self._right = tuple(math.log((1.0 - each) / (1.0 - rate)) / dispersion for each in worse)
        self._wrong = tuple(math.log(each / rate) / dispersion for each in worse)

    def _gains(self, error: float) -> Sequence[float]:
        return self._wrong if error else self._right

    def _detail(self, mean: float, n_labels: int) -> str:
        return f"{mean:.1%} of {n_labels} predictions were wrong, {self._baseline.error_rate:.1%} in the baseline"


class SizeCusum(ErrorCusum):
    """Has the mean size of errors grown to 1.15, 1.3 or 1.7 times the baseline's?

    The same bet as `BernoulliCusum` on sizes from 0 up in place of 0 and 1: whoever stakes the share `bet` on the next size being above
    the limit multiplies what he has by 1 + bet * (size - limit), which is 1 on average as long as sizes have not grown, whatever their
    distribution; so a sum of its logarithms passes a threshold of 10 as rarely as that of a likelihood ratio does.

    Source: Waudby-Smith, Ramdas, "Estimating Means of Bounded Random Variables by Betting", 2024; the bet is their approximation of
    Kelly's for a mean that has grown by the ratio.

    >>> baseline = Baseline(1000, 7, 0.8, 0.8, 1.0, 0.0, 0.0, 1.0, 0.0, 0.36, 2.0)
    >>> cusum = SizeCusum(baseline, OutcomeSettings())
    >>> changes = [cusum.update(1.6, at_ms) for at_ms in range(60)]
    >>> found = next(change for change in changes if change)
    >>> found.n_labels, found.detail
    (20, 'predictions were off by 3.2 on average over 20 labels, by 1.6 in the baseline')
    """

    def __init__(self, baseline: Baseline, settings: OutcomeSettings) -> None:
        super().__init__(baseline, settings)
        limit = baseline.error_limit
        grown = [(ratio - 1.0) * limit for ratio in settings.error_ratios]
        self._bets = tuple(min(more / (baseline.error_variance + more**2), _MOST_STAKED / limit) for more in grown)

    def _gains(self, error: float) -> Sequence[float]:
        off, dispersion = error - self._baseline.error_limit, self._baseline.error_dispersion
        return [math.log1p(bet * off) / dispersion for bet in self._bets]

    def _detail(self, mean: float, n_labels: int) -> str:
        now, before = (each * self._baseline.unit for each in (mean, self._baseline.error_rate))
        return f"predictions were off by {now:.3g} on average over {n_labels} labels, by {before:.3g} in the baseline"


def _too_low_or_high(rose: bool, mean: float, n_labels: int, baseline: Baseline) -> str:
    low = "low" if rose else "high"
    return f"predictions are too {low} by {abs(mean):.3f} on average over {n_labels} labels, {baseline.center:+.3f} in the baseline"


class ResidualCusum:
    """Has the mean of the residual y - p moved, either way?

    A label's residual says little alone and its neighbours share its luck, so residuals are summed over blocks (a day) and each
    block's sum is judged by the spread of the baseline's blocks. A block ends when a label of a later one arrives; a label that
    comes late counts in the block open then.

    >>> baseline = Baseline(7000, 7, 0.1, 0.1, 1.0, 0.0, 0.0, 0.16, 0.0036)
    >>> cusum = ResidualCusum(baseline, OutcomeSettings(block_ms=100))
    >>> changes = [cusum.update(1 - 0.75, at_ms) for at_ms in range(2_000)]
    >>> next(at_ms for at_ms, change in enumerate(changes) if change)
    200
    """

    def __init__(self, baseline: Baseline, settings: OutcomeSettings, say: Saying = _too_low_or_high) -> None:
        self._baseline, self._settings, self._say = baseline, settings, say
        self._up, self._down = _Sum(), _Sum()
        self._block: int | None = None
        self._opened_ms = 0
        self._n = 0
        self._residuals = 0.0

    @property
    def statistic(self) -> float:
        """The larger of the two sums, as of the last complete block."""
        return max(self._up.value, self._down.value)

    def update(self, residual: float, at_ms: int) -> Change | None:
        """Take one label in; the change found at the end of the block before it, if any, after which both sums start again at 0."""
        block = at_ms // self._settings.block_ms
        change = None
        if self._block is None or block > self._block:
            change = self._close() if self._n else None
            self._block, self._opened_ms, self._n, self._residuals = block, at_ms, 0, 0.0
        self._n += 1
        self._residuals += residual
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
        detail = self._say(top is self._up, top.total / top.n_labels, top.n_labels, self._baseline)
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
