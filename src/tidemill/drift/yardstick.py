"""What sums of blocks are held against: outcomes within a day share their luck, so a whole day is one witness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FEW_BLOCKS = 5
_SURE = 0.95
_LEAST_SHARE = 0.2


@dataclass(frozen=True)
class Yardstick:
    """What a quantity was like in a version's baseline.

    Args:
        center: its mean that the version is held to: the measured one, shrunk toward 0 by its own error (positive-part James-Stein), as
            0 is what a calibrated version has and a week says little about the third decimal.
        doubt: by how much the center may be off.
        variance: of the quantity of one outcome.
        block_variance: variance that a block's mean may have beyond that of independent outcomes.
    """

    center: float
    doubt: float
    variance: float
    block_variance: float

    @classmethod
    def of(cls, blocks: tuple[Sequence[float], Sequence[float]], variance: float, least_effect: float, doubt: float) -> Yardstick:
        """Made of a baseline.

        Args:
            blocks: how many outcomes each block has, and the sum of the quantity in each.
            variance: of the quantity of one outcome.
            least_effect: see `luck_variance`.
            doubt: standard errors by which the center may be off.

        >>> yardstick = Yardstick.of(([50, 50], [1.0, -1.0]), 0.25, 0.2, 1.0)
        >>> yardstick.center, round(yardstick.doubt, 4), round(yardstick.block_variance, 4)
        (0.0, 0.0866, 0.01)
        """
        sizes, sums = blocks
        n = sum(sizes)
        mean = sum(sums) / n
        effect = luck_variance(sizes, sums, variance, least_effect)
        share = sum(size**2 for size in sizes) / n**2
        mean_variance = variance / n + effect * share
        center = mean * max(0.0, 1.0 - mean_variance / mean**2) if mean else 0.0
        return cls(center, doubt * math.sqrt(mean_variance), variance, effect)

    def z(self, n_labels: int, total: float) -> float:
        """How many standard deviations the sum of a block of `n_labels` is outside of what the center's doubt allows."""
        variance = n_labels * self.variance + n_labels**2 * self.block_variance
        off = total - n_labels * self.center
        outside = max(0.0, abs(off) - n_labels * self.doubt)
        return math.copysign(outside, off) / math.sqrt(max(variance, 1e-12))


def luck_variance(sizes: Sequence[float], sums: Sequence[float], variance: float, least_effect: float) -> float:
    """How much block means may vary beyond what independent outcomes would: an upper bound, as one week may happen to be calm.

    It is the 95 % bound that the spread of the blocks allows; a version that was held to the estimate itself would be told of every
    second week that is less calm. With fewer than five blocks there is no such bound worth the name, and `least_effect` counts.

    Args:
        sizes: outcomes in each block.
        sums: the quantity's sum in each.
        variance: of the quantity of one outcome.
        least_effect: least standard deviation of the luck of a block, in those of one outcome; a fifth of it where there are blocks enough.

    Source: the moments are those of a one-way layout with random effects; the bound is the chi-square one of a variance (Searle,
    Casella, McCulloch, "Variance Components", 1992, chapter 3).

    >>> sizes, calm = [700.0] * 7, [30.0, -20.0, 5.0, -10.0, 12.0, -25.0, 8.0]
    >>> round(luck_variance(sizes, calm, 1.0, 0.25), 4), round(luck_variance(sizes[:4], calm[:4], 1.0, 0.25), 4)
    (0.0025, 0.0625)
    """
    n, blocks = sum(sizes), len(sizes)
    least = least_effect**2 * variance
    if blocks < 2:
        return least
    mean, squares = sum(sums) / n, sum(size**2 for size in sizes)
    between = sum((total - size * mean) ** 2 for size, total in zip(sizes, sums, strict=True)) * blocks / (blocks - 1)
    if blocks < _FEW_BLOCKS:
        return max((between - variance * n) / squares, least)
    from scipy.special import chdtri  # type: ignore[import-untyped]  # here: once a version, and it takes a while to import

    bound = between * (blocks - 1) / float(chdtri(blocks - 1, _SURE))
    return max((bound - variance * n) / squares, least * _LEAST_SHARE**2)
