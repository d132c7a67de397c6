"""What sums of blocks are held against: outcomes within a day share their luck, so a whole day is one witness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Yardstick:
    """What a quantity was like in a version's baseline.

    Args:
        center: its mean that the version is held to: the measured one, shrunk toward 0 by its own error (positive-part James-Stein), as
            0 is what a calibrated version has and a week says little about the third decimal.
        doubt: by how much the center may be off.
        variance: of the quantity of one outcome.
        block_variance: variance of a block's mean beyond that of independent outcomes.
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
            least_effect: least standard deviation of the luck of a block, in those of one outcome; one week may happen to be calm.
            doubt: standard errors by which the center may be off.

        >>> yardstick = Yardstick.of(([50, 50], [1.0, -1.0]), 0.25, 0.2, 1.0)
        >>> yardstick.center, round(yardstick.doubt, 4), round(yardstick.block_variance, 4)
        (0.0, 0.0866, 0.01)
        """
        sizes, sums = blocks
        n = sum(sizes)
        mean = sum(sums) / n
        effect = max(block_variance(sizes, sums, variance), least_effect**2 * variance)
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


def block_variance(sizes: Sequence[float], sums: Sequence[float], variance: float) -> float:
    """The variance of block means beyond that of independent outcomes, by moments; 0 when there is none or one block."""
    n, blocks = sum(sizes), len(sizes)
    if blocks < 2:
        return 0.0
    mean = sum(sums) / n
    between = sum((total - size * mean) ** 2 for size, total in zip(sizes, sums, strict=True)) * blocks / (blocks - 1)
    return max(0.0, (between - variance * n) / sum(size**2 for size in sizes))
