"""CUSUMs on labelled outcomes: of wrong predictions or of the size of errors, label by label.

Page, "Continuous Inspection Schemes", 1954: a sum that gains on evidence for change, loses on evidence against, and never falls
below 0. Its last zero is the estimate of when the change began.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tidemill.drift.baseline import Baseline, OutcomeSettings

_MOST_STAKED = 0.9  # of the limit's worth: a size of 0 must leave something


@dataclass(slots=True)
class RunningSum:
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
        self._sums = [RunningSum() for _ in settings.error_ratios]

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
        self._sums = [RunningSum() for _ in self._sums]

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"sums": [asdict(each) for each in self._sums]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self._sums = [RunningSum(**each) for each in state["sums"]]

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
