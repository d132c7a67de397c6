"""How long labels take: counts on a scale of equal ratios, so that windows add up and milliseconds and months fit alike."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tidemill.kernels import Ints

_STEPS = 8  # bins for each doubling: a quantile is right to 9 %
_BINS = 42 * _STEPS  # up to 2**42 ms, 139 years


def _no_counts() -> Ints:
    return np.zeros(_BINS + 1, dtype=np.int64)


@dataclass(frozen=True)
class LabelLag:
    """The time from question to first known outcome, over some questions; those without an outcome count too.

    Args:
        n: questions, labelled or not.
        counts: (337,) labelled ones by lag: bin `i` ends at `2 ** (i / 8)` ms.

    >>> lag = LabelLag.of(np.array([1_000, 2_000, 4_000]), n=4)
    >>> lag.n_labelled, lag.share, 4_000 <= lag.quantile(1.0) < 4_400
    (3, 0.75, True)
    >>> round((lag + lag).share_by(3_000), 2)
    0.5
    """

    n: int = 0
    counts: Ints = field(default_factory=_no_counts, compare=False)

    @classmethod
    def of(cls, lags_ms: npt.NDArray[np.int64], n: int) -> LabelLag:
        """The lags of those of `n` questions that are labelled."""
        bins = np.ceil(np.log2(np.maximum(lags_ms, 1)) * _STEPS).astype(np.int64)
        return cls(n, np.bincount(np.minimum(bins, _BINS), minlength=_BINS + 1))

    def __add__(self, other: LabelLag) -> LabelLag:
        """Both together."""
        return LabelLag(self.n + other.n, self.counts + other.counts)

    @property
    def n_labelled(self) -> int:
        """Questions with an outcome."""
        return int(self.counts.sum())

    @property
    def share(self) -> float | None:
        """How many of all questions got an outcome at all; None without questions."""
        return self.n_labelled / self.n if self.n else None

    def quantile(self, q: float) -> int | None:
        """The lag in ms by which the share `q` of the labelled ones was known, rounded up to the end of its bin; None without any."""
        total = self.n_labelled
        if not total:
            return None
        return int(np.ceil(2.0 ** (np.searchsorted(np.cumsum(self.counts), q * total) / _STEPS)))

    def share_by(self, age_ms: int) -> float:
        """The share of all questions that were labelled at this age; within a bin labels are taken to come evenly."""
        return float(self.shares_by(np.array([age_ms], dtype=np.int64))[0])

    def shares_by(self, age_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """(n,) the same for many ages; 0 without questions."""
        ends = 2.0 ** (np.arange(_BINS + 1) / _STEPS)
        shares = np.cumsum(self.counts) / max(self.n, 1)
        return np.where(age_ms <= 0, 0.0, np.interp(age_ms, np.append(0.0, ends), np.append(0.0, shares)))
