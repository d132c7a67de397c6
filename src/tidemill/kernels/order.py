"""The order of rows."""

from __future__ import annotations

import numpy as np

from tidemill.kernels.compiling import Ints, compiled

_DIGIT_BITS = 11  # the counts of a digit fit in the cache beside the rows
_DIGITS = 1 << _DIGIT_BITS


@compiled
def order_rows(by: Ints, then_by: Ints) -> Ints:
    """The rows by (n,) `by`, those that tie by (n,) `then_by`, and those that tie again as they are; a radix sort.

    Each column spans less than 2**63. A row costs some nanoseconds a digit of 11 bits, as many as that span has.
    """
    order, other = np.arange(len(by)), np.empty(len(by), np.int64)
    ends = np.empty(_DIGITS + 1, np.int64)
    for column in (then_by, by):
        if len(column) == 0:
            break
        least, shift = column.min(), 0
        span = column.max() - least
        while shift < 64 and span >> shift > 0:
            ends[:] = 0
            for row in range(len(column)):
                ends[((column[row] - least) >> shift & (_DIGITS - 1)) + 1] += 1
            for digit in range(_DIGITS):
                ends[digit + 1] += ends[digit]
            for place in range(len(order)):
                row = order[place]
                digit = (column[row] - least) >> shift & (_DIGITS - 1)
                other[ends[digit]] = row
                ends[digit] += 1
            order, other = other, order
            shift += _DIGIT_BITS
    return order
