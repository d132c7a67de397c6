"""Are the differences between a version's answers still worth what they say? Sees a world in which some of what was learnt is gone.

When half of the columns stop to matter, no column moves, and outcomes that come as often as before leave the mean residual where it
was. But answers that lie far from the middle have become too certain: probable rows come true less often than was said, improbable
ones more often.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tidemill.drift.baseline import OutcomeSettings
from tidemill.drift.block_cusum import BlockCusum
from tidemill.drift.cusum import Change
from tidemill.drift.yardstick import Yardstick

_LEAST_SPREAD = 1e-9  # answers that are all the same differ by rounding alone


class Answer(NamedTuple):
    """An answer and how far off it was.

    Args:
        said: what was predicted: a probability, or a number in units of how much numbers differ.
        residual: what came true minus that, in the same units.
        weight: the variance that a right answer's residual has, up to a factor: p (1 - p), or 1 for numbers.
    """

    said: float
    residual: float
    weight: float


class Certainty:
    """Has the product of residual and answer, (y - p) (p - c), fallen?

    It is the score of a calibration line's slope, and has mean 0 for any calibrated version, whatever rows it is asked about. The middle
    c is the mean of the baseline's answers by weight, so that the luck of a day, which raises or lowers all outcomes, moves it only in
    second order. On the 2013 New York flights that luck was half of the residuals', and so is the least that is assumed. Days are
    summed as those of residuals are, and only a fall alarms: that answers are worth more than they say harms nobody.

    Source: Cox, "Two further applications of a model for binary regression", 1958 (the slope); Neyman, "Optimal asymptotic tests of
    composite statistical hypotheses", 1959 (a score that a nuisance does not move).

    >>> settings = OutcomeSettings(baseline_labels=1_000, baseline_ms=1_000, block_ms=100)
    >>> certainty = Certainty(settings)
    >>> before = [(0.2, i % 5 == 0) if i % 2 else (0.8, i % 5 > 0) for i in range(2_000)]
    >>> any(certainty.update(Answer(p, y - p, p * (1 - p)), at_ms) for at_ms, (p, y) in enumerate(before))
    False
    >>> after = [(0.2, i % 10 < 4) if i % 2 else (0.8, i % 10 < 6) for i in range(500)]
    >>> found = [certainty.update(Answer(p, y - p, p * (1 - p)), 2_000 + i) for i, (p, y) in enumerate(after)]
    >>> next(change.detail for change in found if change)
    'differences between answers were worth 33% of what they said over 200 labels, 100% in the baseline'
    """

    def __init__(self, settings: OutcomeSettings) -> None:
        self._settings = settings
        self._first_ms: int | None = None
        self._blocks: dict[int, list[float]] = {}  # labels, residuals, residuals by what was said
        self._moments = [0.0] * 7
        self._middle = 0.0
        self._spread = 0.0
        self._yardstick: Yardstick | None = None
        self._judge: BlockCusum | None = None

    @property
    def statistic(self) -> float | None:
        """The sum, in standard deviations of a block; None while the baseline is being gathered."""
        return None if self._judge is None else self._judge.statistic

    def update(self, answer: Answer, at_ms: int) -> Change | None:
        """Take one outcome in; the change found, if any."""
        if self._judge is not None:
            return self._judge.update(answer.residual * (answer.said - self._middle), at_ms)
        self._gather(answer, at_ms)
        first_ms = at_ms if self._first_ms is None else self._first_ms
        if at_ms - first_ms >= self._settings.baseline_ms and self._n_labels >= self._settings.baseline_labels:
            self._begin(self._measure())
        return None

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "first_ms": self._first_ms,
            "blocks": [[block, *sums] for block, sums in self._blocks.items()],
            "moments": list(self._moments),
            "middle": self._middle,
            "spread": self._spread,
            "yardstick": None if self._yardstick is None else list(vars(self._yardstick).values()),
            "judge": None if self._judge is None else self._judge.state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self._first_ms = state["first_ms"]
        self._blocks = {block: list(sums) for block, *sums in state["blocks"]}
        self._moments = list(state["moments"])
        self._middle, self._spread = state["middle"], state["spread"]
        if state["yardstick"] is not None:
            self._begin(Yardstick(*state["yardstick"]))
        if self._judge is not None and state["judge"] is not None:
            self._judge.load(state["judge"])

    @property
    def _n_labels(self) -> int:
        return int(sum(block[0] for block in self._blocks.values()))

    def _gather(self, answer: Answer, at_ms: int) -> None:
        said, residual, weight = answer
        if self._first_ms is None:
            self._first_ms = at_ms
        block = self._blocks.setdefault(at_ms // self._settings.block_ms, [0, 0.0, 0.0])
        block[0] += 1
        block[1] += residual
        block[2] += residual * said
        square = residual * residual
        for place, moment in enumerate((weight, weight * said, square, square * said, square * said * said, said, said * said)):
            self._moments[place] += moment

    def _measure(self) -> Yardstick:
        """The yardstick of what was gathered, which is forgotten then."""
        weight, weighed, square, by_said, by_square, said, said_square = self._moments
        n, blocks = self._n_labels, list(self._blocks.values())
        self._middle = middle = weighed / weight if weight > 0.0 else said / n
        self._spread = max(said_square / n - 2.0 * middle * said / n + middle**2, 0.0)
        sums = [product - middle * residual for _, residual, product in blocks]
        products = max(by_square - 2.0 * middle * by_said + middle**2 * square, 0.0) / n
        variance = products - (sum(sums) / n) ** 2
        self._blocks, self._moments = {}, [0.0] * 7
        if variance <= _LEAST_SPREAD * square / n:
            self._spread = 0.0
        settings = self._settings
        sizes = [block[0] for block in blocks]
        return Yardstick.of((sizes, sums), max(variance, 0.0), settings.least_certainty_effect, settings.doubt)

    def _begin(self, yardstick: Yardstick) -> None:
        self._yardstick = yardstick
        threshold = self._settings.certainty_threshold if self._spread > 0.0 else float("inf")
        self._judge = BlockCusum(yardstick, self._settings, threshold, self._say, "down")

    def _say(self, _: bool, mean: float, n_labels: int) -> str:
        before = 0.0 if self._yardstick is None else self._yardstick.center
        worth, was_worth = (1.0 + each / self._spread for each in (mean, before))
        now = f"differences between answers were worth {worth:.0%} of what they said over {n_labels} labels"
        return f"{now}, {was_worth:.0%} in the baseline"
