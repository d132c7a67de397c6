"""CUSUMs of what outcomes add up to in a block (a day), as outcomes of one block share their luck."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal

from tidemill.drift.baseline import Baseline, OutcomeSettings
from tidemill.drift.cusum import Change, RunningSum
from tidemill.drift.yardstick import Yardstick

Saying = Callable[[bool, float, int], str]  # whether the mean rose, what it is, and over how many labels


class BlockCusum:
    """Has the mean of a quantity moved?

    A label says little alone and its neighbours share its luck, so the quantity is summed over blocks and each block's sum is judged
    by the spread of the baseline's blocks. A block ends when a label of a later one arrives; a label that comes late counts in the
    block open then.

    Args:
        yardstick: of the baseline.
        settings: slack, clip and the length of a block.
        threshold: alarm level, in standard deviations of a block.
        say: for a person, what was found.
        sides: whether it may not fall, or not move either way.
    """

    def __init__(
        self, yardstick: Yardstick, settings: OutcomeSettings, threshold: float, say: Saying, sides: Literal["both", "down"] = "both"
    ) -> None:
        self._yardstick, self._settings, self._threshold, self._say = yardstick, settings, threshold, say
        self._both = sides == "both"
        self._up, self._down = RunningSum(), RunningSum()
        self._block: int | None = None
        self._opened_ms = 0
        self._n = 0
        self._total = 0.0

    @property
    def statistic(self) -> float:
        """The larger of the two sums, as of the last complete block."""
        return max(self._up.value, self._down.value)

    def update(self, quantity: float, at_ms: int) -> Change | None:
        """Take one label in; the change found at the end of the block before it, if any, after which both sums start again at 0."""
        block = at_ms // self._settings.block_ms
        change = None
        if self._block is None or block > self._block:
            change = self._close() if self._n else None
            self._block, self._opened_ms, self._n, self._total = block, at_ms, 0, 0.0
        self._n += 1
        self._total += quantity
        return change

    def _close(self) -> Change | None:
        settings = self._settings
        z = self._yardstick.z(self._n, self._total)
        z = min(max(z, -settings.residual_clip), settings.residual_clip)
        if self._both:
            self._up.add(z - settings.residual_slack, self._opened_ms, self._n, self._total)
        self._down.add(-z - settings.residual_slack, self._opened_ms, self._n, self._total)
        if self.statistic < self._threshold:
            return None
        top = self._up if self._up.value >= self._down.value else self._down
        detail = self._say(top is self._up, top.total / top.n_labels, top.n_labels)
        self.restart()
        return Change(top.value, self._threshold, top.since_ms, top.n_labels, detail)

    def restart(self) -> None:
        """Start again at 0 with the same yardstick; the open block stays open."""
        self._up, self._down = RunningSum(), RunningSum()

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "up": asdict(self._up),
            "down": asdict(self._down),
            "block": self._block,
            "opened_ms": self._opened_ms,
            "n": self._n,
            "residuals": self._total,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self._up, self._down = RunningSum(**state["up"]), RunningSum(**state["down"])
        self._block, self._opened_ms = state["block"], state["opened_ms"]
        self._n, self._total = state["n"], state["residuals"]


class ResidualCusum(BlockCusum):
    """Has the mean of the residual y - p moved, either way?

    >>> baseline = Baseline(7000, 7, 0.1, 0.1, 1.0, 0.0, 0.0, 0.16, 0.0036)
    >>> cusum = ResidualCusum(baseline, OutcomeSettings(block_ms=100))
    >>> changes = [cusum.update(1 - 0.75, at_ms) for at_ms in range(2_000)]
    >>> next(at_ms for at_ms, change in enumerate(changes) if change)
    200
    """

    def __init__(
        self, baseline: Baseline, settings: OutcomeSettings, say: Callable[[bool, float, int, Baseline], str] | None = None
    ) -> None:
        told = say or _too_low_or_high
        super().__init__(
            baseline.residuals, settings, settings.residual_threshold, lambda rose, mean, n_labels: told(rose, mean, n_labels, baseline)
        )


def _too_low_or_high(rose: bool, mean: float, n_labels: int, baseline: Baseline) -> str:
    low = "low" if rose else "high"
    return f"predictions are too {low} by {abs(mean):.3f} on average over {n_labels} labels, {baseline.center:+.3f} in the baseline"
