"""What the errors of many rows probably come to together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tidemill.drift.expected import Expected


@dataclass(frozen=True, slots=True)
class ErrorSums:
    """What is to be expected of the errors of n > 0 rows.

    Args:
        n: how many.
        size: mean |error|.
        size_variance: of that mean.
        square: mean error².
        square_variance: of that mean.
    """

    n: int
    size: float
    size_variance: float
    square: float
    square_variance: float

    @classmethod
    def together(cls, parts: Sequence[ErrorSums]) -> ErrorSums:
        """Of rows that several versions answered, whose references know nothing of each other.

        >>> ErrorSums.together([ErrorSums(1, 2.0, 0.4, 4.0, 0.8), ErrorSums(3, 4.0, 0.0, 16.0, 0.0)])
        ErrorSums(n=4, size=3.5, size_variance=0.025, square=13.0, square_variance=0.05)
        """
        n = sum(part.n for part in parts)
        shares = [(part.n / n, part) for part in parts]
        return cls(
            n=n,
            size=sum(share * part.size for share, part in shares),
            size_variance=sum(share**2 * part.size_variance for share, part in shares),
            square=sum(share * part.square for share, part in shares),
            square_variance=sum(share**2 * part.square_variance for share, part in shares),
        )

    def expected(self) -> dict[str, Expected]:
        """MAE and RMSE; the luck of the second by the delta method, as it is the root of a mean."""
        root = math.sqrt(self.square)
        root_luck = math.sqrt(self.square_variance) / (2.0 * root) if root > 0.0 else 0.0
        return {"mae": Expected(self.size, math.sqrt(self.size_variance)), "rmse": Expected(root, root_luck)}
