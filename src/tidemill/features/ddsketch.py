"""Quantiles: DDSketch with as many bins as its values need, none of them ever collapsed, since collapsing depends on order.

```
 code   0 ........ reach-1 | reach |  reach+1 .......... 2*reach
 value  -huge .... -tiny   |   0   |  tiny ............. huge
```
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tidemill.events import Column
from tidemill.features.sketch import NULL_CODE, Sketch
from tidemill.kernels import Ints

_TINY = float(np.finfo(np.float64).tiny)  # the least number of full precision; below it counts as 0
_HUGE = float(np.finfo(np.float64).max)
_CODE = np.dtype("<i4")
_COUNTS = [np.dtype(code) for code in ("<u1", "<u2", "<u4", "<u8")]
_SPARSE, _DENSE = 0, 1


@dataclass(frozen=True)
class Quantile(Sketch):
    """The value below which a share `level` of all values lies, within `accuracy` of it; missing for none.

    Of n values it is that at place floor(level * (n - 1)), counted from 0 in rising order.

    State: empty, or a byte for the form and one for the size of a count, then either the codes met (4 bytes each) with their counts, or
    the least code and the counts of all up to the greatest, whichever is shorter.

    Args:
        level: between 0 and 1; 0.5 is the median.
        accuracy: how far the answer may be off, as a share of it.

    Source: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", 2019.

    >>> median = Quantile(0.5, accuracy=0.01)
    >>> round(median.value(median.of(median.codes(np.array([1.0, 100.0, 10_000.0])))))
    100
    """

    level: float
    accuracy: float

    takes_text = False

    def __post_init__(self) -> None:
        """Refuse what is no quantile."""
        if not 0 <= self.level <= 1:
            raise ValueError(f"level={self.level}: a quantile's level lies between 0 and 1, e.g. 0.9")
        if not 1e-6 <= self.accuracy < 1:
            raise ValueError(f"accuracy={self.accuracy}: a quantile's accuracy lies between 0.000001 and 1, e.g. 0.01")

    @property
    def kind(self) -> str:
        """See `Sketch`."""
        return f"quantile[{float(self.accuracy)!r}]"

    @property
    def reading(self) -> str:
        """See `Sketch`."""
        return repr(float(self.level))

    @cached_property
    def _log_gamma(self) -> float:
        """The log of gamma = (1 + accuracy) / (1 - accuracy), the ratio of neighbouring bins."""
        return math.log1p(self.accuracy) - math.log1p(-self.accuracy)

    @cached_property
    def _least(self) -> int:
        """Below the bin of the least positive value."""
        return math.floor(math.log(_TINY) / self._log_gamma) - 1

    @cached_property
    def _reach(self) -> int:
        """How many bins there are on either side of zero."""
        return math.ceil(math.log(_HUGE) / self._log_gamma) + 1 - self._least

    def codes(self, values: Column) -> Ints:
        """See `Sketch`; codes rise with the values. Bin i holds what lies above gamma**(i - 1), up to gamma**i."""
        sizes = np.abs(values)
        counted = sizes >= _TINY
        bins = np.zeros(len(values), dtype=np.int64)
        bins[counted] = np.ceil(np.log(sizes[counted]) / self._log_gamma).astype(np.int64) - self._least
        codes = self._reach + np.where(values < 0, -bins, bins)
        return np.where(np.isnan(values), NULL_CODE, codes)

    def of(self, codes: Ints) -> bytes:
        """See `Sketch`."""
        return _state(*np.unique(codes[codes != NULL_CODE], return_counts=True))

    def merge(self, states: Sequence[bytes]) -> bytes:
        """See `Sketch`."""
        parts = [_read(state) for state in (b"", *states)]
        codes, places = np.unique(np.concatenate([codes for codes, _ in parts]), return_inverse=True)
        counts = np.zeros(len(codes), dtype=np.int64)
        np.add.at(counts, places, np.concatenate([counts for _, counts in parts]))
        return _state(codes, counts)

    def value(self, state: bytes) -> float:
        """See `Sketch`."""
        return self._quantile(*_read(state))

    def value_of_counts(self, codes: Ints, counts: Ints) -> float:
        """See `Sketch`."""
        present = codes != NULL_CODE
        order = np.argsort(codes[present])
        return self._quantile(codes[present][order], counts[present][order])

    def _quantile(self, codes: Ints, counts: Ints) -> float:
        up_to = np.cumsum(counts)
        if not len(up_to) or up_to[-1] == 0:
            return math.nan
        place = math.floor(self.level * (int(up_to[-1]) - 1))
        bin_ = int(codes[np.searchsorted(up_to, place, side="right")]) - self._reach
        if bin_ == 0:
            return 0.0
        # what is as near to both ends of the bin, relatively: 2 gamma**i / (gamma + 1) = gamma**i (1 - accuracy)
        exponent = (abs(bin_) + self._least) * self._log_gamma + math.log1p(-self.accuracy)
        size = _HUGE if exponent >= math.log(_HUGE) else math.exp(exponent)
        return math.copysign(size, bin_)


def _state(codes: Ints, counts: Ints) -> bytes:
    """The bytes of rising codes and their counts, none of them 0."""
    if not len(codes):
        return b""
    size = next(place for place, dtype in enumerate(_COUNTS) if counts.max() <= np.iinfo(dtype).max)
    dtype = _COUNTS[size]
    span = int(codes[-1] - codes[0]) + 1
    if len(codes) * (_CODE.itemsize + dtype.itemsize) <= _CODE.itemsize + span * dtype.itemsize:
        return bytes((_SPARSE, size)) + codes.astype(_CODE).tobytes() + counts.astype(dtype).tobytes()
    dense: npt.NDArray[np.int64] = np.zeros(span, dtype=np.int64)
    dense[codes - codes[0]] = counts
    return bytes((_DENSE, size)) + codes[:1].astype(_CODE).tobytes() + dense.astype(dtype).tobytes()


def _read(state: bytes) -> tuple[Ints, Ints]:
    """The codes, rising, and their counts."""
    if not state:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    dtype = _COUNTS[state[1]]
    if state[0] == _SPARSE:
        met = (len(state) - 2) // (_CODE.itemsize + dtype.itemsize)
        codes = np.frombuffer(state, dtype=_CODE, count=met, offset=2).astype(np.int64)
        return codes, np.frombuffer(state, dtype=dtype, count=met, offset=2 + met * _CODE.itemsize).astype(np.int64)
    counts = np.frombuffer(state, dtype=dtype, offset=2 + _CODE.itemsize).astype(np.int64)
    met_at = np.flatnonzero(counts)
    return met_at + int(np.frombuffer(state, dtype=_CODE, count=1, offset=2)[0]), counts[met_at]
