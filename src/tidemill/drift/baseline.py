"""What a model version's own first weeks of outcomes looked like: the yardstick its later outcomes are held against."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.clock import DAY_MS
from tidemill.drift.yardstick import Yardstick, luck_variance

SUDDEN_LABELS = 50  # what is sudden shows within so many labels


@dataclass(frozen=True)
class OutcomeSettings:
    """When a version's labelled outcomes are said to have changed.

    The defaults were chosen on the 2013 New York flights. With whole days in random order, so that nothing but luck changes, the two
    CUSUMs together gave 0.4 false alarms in 30 days (8 runs of 120 judged days, days shuffled in fours to keep weather together).

    Args:
        cut: score at or above which the prediction counts as 1.
        baseline_labels: fewest labels of a version before it is judged.
        baseline_ms: shortest stream time of labels before it is judged; one whole cycle.
        block_ms: outcomes within this time share their luck (weather, a holiday); residuals are judged in such blocks.
        error_ratios: by how much the error rate is asked to have grown, one CUSUM each.
        error_threshold: alarm level of the error CUSUMs, in nats.
        residual_slack: standard deviations a block may be off before it counts.
        residual_threshold: alarm level of the residual CUSUMs, in standard deviations of a block.
        residual_clip: most standard deviations one block can count, so that a single bad day is no alarm.
        certainty_threshold: alarm level of the certainty CUSUM, in standard deviations of a block; slack and clip are the residuals'.
        sudden_threshold: standard deviations by which the errors of a few labels must be off to be no luck of a block.
        sudden_margin: by how much their rise must exceed the largest of the baseline, as luck is not normal: a storm is in one hour.
        least_block_effect: least standard deviation of the luck of a block, in standard deviations of one outcome, where the baseline
            has fewer than five blocks; a fifth of it where it has more, as these bound it themselves.
        least_certainty_effect: the same of what certainty is measured by, which the luck of a day moves half as far.
        doubt: standard errors by which the baseline itself may be off; a change must be larger. One week is a small sample of days.
        most_off: where outcomes are numbers, the most that one residual can count, in units of their usual size.
    """

    cut: float = 0.5
    baseline_labels: int = 500
    baseline_ms: int = 7 * DAY_MS
    block_ms: int = DAY_MS
    error_ratios: tuple[float, ...] = (1.15, 1.3, 1.7)
    error_threshold: float = 10.0
    residual_slack: float = 0.25
    residual_threshold: float = 5.0
    residual_clip: float = 3.0
    certainty_threshold: float = 5.0
    sudden_threshold: float = 5.0
    sudden_margin: float = 2.5
    least_block_effect: float = 0.25
    least_certainty_effect: float = 0.125
    doubt: float = 1.0
    most_off: float = 5.0

    def __post_init__(self) -> None:
        if self.baseline_labels < 2 or min(self.baseline_ms, self.block_ms) <= 0:
            raise ValueError("a baseline needs at least 2 labels and a time above 0, and so does a block")
        if not self.error_ratios or min(self.error_ratios) <= 1.0:
            raise ValueError(f"error_ratios ask how much worse it has become, so each is above 1, not {self.error_ratios}")


@dataclass(frozen=True)
class Baseline:
    """The frozen yardstick of one version.

    An error is 0 or 1 where a prediction is right or wrong; where outcomes are numbers it is the size of the residual. A residual is
    y - p, where outcomes are numbers in units of `unit`.

    Args:
        n_labels: labels it was made from.
        n_blocks: blocks they fell into.
        error_rate: mean error: the share of wrong predictions, never exactly 0 or 1, or the mean size of residuals.
        error_limit: the mean it may really have had, given its error; growth is counted from here.
        error_dispersion: variance of the errors of a block over what independent errors would have; at least 1.
        center: mean residual the version is held to. A well-calibrated model has 0, and a week says little about the third
            decimal, so the measured mean is shrunk toward 0 by its own error (positive-part James-Stein): only a model that is
            clearly biased from its first week is held to its own bias.
        center_doubt: by how much the center may be off.
        residual_variance: variance of one residual.
        block_variance: variance of a block's mean residual beyond that of independent residuals.
        error_variance: variance of one error.
        unit: what a residual of 1 is, in units of the outcome.
        error_peak: largest mean error of `SUDDEN_LABELS` labels on end; 0 where there were fewer.
    """

    n_labels: int
    n_blocks: int
    error_rate: float
    error_limit: float
    error_dispersion: float
    center: float
    center_doubt: float
    residual_variance: float
    block_variance: float
    error_variance: float = 0.0
    unit: float = 1.0
    error_peak: float = 0.0

    @property
    def residuals(self) -> Yardstick:
        """What residuals are held against."""
        return Yardstick(self.center, self.center_doubt, self.residual_variance, self.block_variance)


@dataclass
class BaselineBuilder:
    """Gathers a version's first outcomes, block by block.

    >>> builder = BaselineBuilder()
    >>> for hour in range(200):
    ...     builder.add(hour % 4 == 0, (hour % 4 == 0) - 0.25, hour * 3_600_000, OutcomeSettings())
    >>> builder.is_full(OutcomeSettings(baseline_labels=100)), builder.is_full(OutcomeSettings())
    (True, False)
    >>> builder.freeze(OutcomeSettings()).error_rate
    0.2512437810945274
    """

    first_ms: int | None = None
    last_ms: int = 0
    squares: float = 0.0
    error_squares: float = 0.0
    blocks: dict[int, list[float]] = field(default_factory=dict)
    newest: deque[float] = field(default_factory=lambda: deque(maxlen=SUDDEN_LABELS))
    error_peak: float = 0.0

    def add(self, error: float, residual: float, at_ms: int, settings: OutcomeSettings) -> None:
        """Take one outcome in; see `Baseline` for what error and residual are."""
        if self.first_ms is None:
            self.first_ms = self.last_ms = at_ms
        self.last_ms = max(self.last_ms, at_ms)
        block = self.blocks.setdefault(at_ms // settings.block_ms, [0, 0, 0.0])
        block[0] += 1
        block[1] += error
        block[2] += residual
        self.squares += residual**2
        self.error_squares += error**2
        self.newest.append(float(error))
        if len(self.newest) == SUDDEN_LABELS:
            self.error_peak = max(self.error_peak, sum(self.newest) / SUDDEN_LABELS)

    @property
    def n_labels(self) -> int:
        """Outcomes taken in."""
        return int(sum(block[0] for block in self.blocks.values()))

    def is_full(self, settings: OutcomeSettings) -> bool:
        """Both enough labels and a whole cycle."""
        if self.first_ms is None or self.last_ms - self.first_ms < settings.baseline_ms:
            return False
        return self.n_labels >= settings.baseline_labels

    def freeze(self, settings: OutcomeSettings, unit: float | None = None) -> Baseline:
        """The yardstick of what was taken in; `unit` is that of the residuals where outcomes are numbers."""
        sizes = [block[0] for block in self.blocks.values()]
        n = sum(sizes)
        errors = sum(block[1] for block in self.blocks.values())
        rate = (errors + 0.5) / (n + 1.0) if unit is None else max(errors / n, 1e-3)
        mean = sum(block[2] for block in self.blocks.values()) / n
        variance = max(self.squares / n - mean * mean, 1e-6)
        least = settings.least_block_effect
        residuals = Yardstick.of((sizes, [block[2] for block in self.blocks.values()]), variance, least, settings.doubt)
        spread = rate * (1.0 - rate) if unit is None else max(self.error_squares / n - rate * rate, 1e-6)
        error_effect = luck_variance(sizes, [block[1] for block in self.blocks.values()], spread, least)
        share = sum(size**2 for size in sizes) / n**2
        rate_error = math.sqrt(spread / n + error_effect * share)
        limit = rate + settings.doubt * rate_error
        return Baseline(
            n_labels=int(n),
            n_blocks=len(sizes),
            error_rate=rate,
            error_limit=min(limit, (1.0 + rate) / 2.0) if unit is None else limit,
            error_dispersion=1.0 + n * share * error_effect / spread,
            center=residuals.center,
            center_doubt=residuals.doubt,
            residual_variance=variance,
            block_variance=residuals.block_variance,
            error_variance=spread,
            unit=1.0 if unit is None else unit,
            error_peak=self.error_peak,
        )

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        blocks = [[start, *block] for start, block in self.blocks.items()]
        squares = {"squares": self.squares, "error_squares": self.error_squares}
        sudden = {"newest": list(self.newest), "error_peak": self.error_peak}
        return {"first_ms": self.first_ms, "last_ms": self.last_ms, **squares, "blocks": blocks, **sudden}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> BaselineBuilder:
        """The builder as it was."""
        blocks = {raw[0]: [raw[1], raw[2], raw[3]] for raw in state["blocks"]}
        squares = {"squares": state["squares"], "error_squares": state.get("error_squares", 0.0)}
        builder = cls(first_ms=state["first_ms"], last_ms=state["last_ms"], **squares, blocks=blocks)
        builder.newest.extend(state.get("newest", ()))
        builder.error_peak = state.get("error_peak", 0.0)
        return builder
