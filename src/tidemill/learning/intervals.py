"""Figures with the interval they come with: of independent rows, and of rows that share their luck in blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from tidemill.clock import DAY_MS
from tidemill.kernels import Floats, Ints

LEVEL = 0.95
Z = NormalDist().inv_cdf((1.0 + LEVEL) / 2.0)
_FEWEST_BLOCKS = 3


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the ends of its 95 % interval; the ends are None where nothing tells how sure it is."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def around(cls, value: float, reach: float, within: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
        """`value` plus and minus `reach`, cut to what the figure can be at all.

        >>> Interval.around(0.95, 0.1, within=(0.0, 1.0))
        Interval(value=0.95, low=0.85, high=1.0)
        """
        return cls(value, max(value - reach, within[0]), min(value + reach, within[1]))

    def holds(self, value: float) -> bool:
        """Whether a value lies within; False where the ends are not known."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high


Figures = Mapping[str, Interval]  # by the metric's name


def student_quantile(freedom: int) -> float:
    """How many standard errors the 95 % interval of Student's t with `freedom` >= 2 degrees reaches; within 1.5 % of the exact value.

    Source: Abramowitz, Stegun, "Handbook of Mathematical Functions", 26.7.5, the first four terms.

    >>> round(student_quantile(6), 3), round(student_quantile(1_000), 3)
    (2.447, 1.962)
    """
    z, v = Z, freedom
    terms = (
        (z**3 + z) / (4 * v),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3),
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4),
    )
    return z + sum(terms)


def wilson(n_true: float, n: int) -> Interval:
    """A share of `n` > 0 independent rows.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    >>> wilson(10, 10).high, round(wilson(10, 10).low, 3)
    (1.0, 0.722)
    """
    share, extra = n_true / n, Z * Z / n
    center = (share + extra / 2) / (1 + extra)
    reach = math.sqrt(extra * share * (1 - share) + extra * extra / 4) / (1 + extra)
    return Interval(share, max(0.0, center - reach), min(1.0, center + reach) if n_true < n else 1.0)


def block_of(at_ms: Ints) -> int:
    """The length of a block, ms: a day, or an eighth of the time that the rows span where that is less than eight days.

    After an alarm a challenger is judged on hours, and with blocks of days there would be no standard error at all.

    >>> import numpy as np
    >>> block_of(np.array([0, 30 * DAY_MS])) == DAY_MS, block_of(np.array([0, 8_000]))
    (True, 1000)
    """
    return int(min(DAY_MS, max(1, (int(at_ms.max()) - int(at_ms.min())) // 8)))


def mean_of_blocks(sizes: Floats, means: Floats, within: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
    """The mean over all rows of blocks that share their luck (a day's weather), from each block's size and mean.

    The blocks, not the rows, are what is independent; with fewer than three of them nothing tells how sure the mean is.

    Args:
        sizes: (n_blocks,) rows in each, above 0; at least one block.
        means: (n_blocks,) the mean of each.
        within: what the mean can be at all; the interval is cut to it.

    Source: the ratio estimator of Cochran, "Sampling Techniques", 1977, section 6.4, each block's distance widened by how much it draws
    the mean to itself (Bell, McCaffrey, "Bias Reduction in Standard Errors for Linear Regression with Multi-Stage Samples", 2002), with
    Student's t for the few blocks.

    >>> import numpy as np
    >>> mean_of_blocks(np.array([10.0, 30.0]), np.array([0.2, 0.4]))
    Interval(value=0.35, low=None, high=None)
    """
    total, n_blocks = float(sizes.sum()), len(sizes)
    mean = float(sizes @ means) / total
    if n_blocks < _FEWEST_BLOCKS:
        return Interval(mean)
    weights = sizes / total
    variance = float((weights * (means - mean)) ** 2 @ (1.0 / (1.0 - weights)))
    return Interval.around(mean, student_quantile(n_blocks - 1) * math.sqrt(variance), within)
