"""The order of rows: spread over parts of equal width, and sorted."""

from __future__ import annotations

import numpy as np

from tidemill.kernels.compiling import Ints, compiled

_DIGIT_BITS = 11  # the counts of a digit fit in the cache beside the rows
_DIGITS = 1 << _DIGIT_BITS


@compiled
def spread_rows(places: Ints, begin: int, width: int, n_parts: int) -> tuple[Ints, Ints]:
    """(n,) the rows part by part, in a part as they are, and (n_parts + 1,) where the parts begin.

    Part i has the places from `begin + i * width` on, `width` of them.
    """
    part, order = np.empty(len(places), np.int32), np.empty(len(places), np.int64)
    edges = np.zeros(n_parts + 2, np.int64)  # while rows are put, one further than where their part is up to
    for row in range(len(places)):
        part[row] = (places[row] - begin) // width
        edges[part[row] + 2] += 1
    for number in range(n_parts):
        edges[number + 2] += edges[number + 1]
    for row in range(len(places)):
        order[edges[part[row] + 1]] = row
        edges[part[row] + 1] += 1
    return order, edges[: n_parts + 1].copy()


@compiled
def order_rows(by: Ints, then_by: Ints) -> Ints:
    """The rows by (n,) `by`, those that tie by (n,) `then_by`, and those that tie again as they are.

    Each column spans less than 2**63. A row costs some nanoseconds a digit of 11 bits, as many as the span of `by` has; more only
    where it ties with others that are not in order already.
    """
    order = _by_digits(by, np.arange(len(by)))
    astray = _astray(by, then_by, order)
    if len(astray):
        rows = order[astray]
        order[astray] = rows[_by_digits(by[rows], _by_digits(then_by[rows], np.arange(len(rows))))]
    return order


@compiled
def _by_digits(column: Ints, order: Ints) -> Ints:
    """The rows of `order` by `column`, those that tie as they are in `order`, which is overwritten; a radix sort."""
    if len(column) == 0:
        return order
    other = np.empty(len(column), np.int64)
    ends = np.empty(_DIGITS + 1, np.int64)
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


@compiled
def _astray(by: Ints, then_by: Ints, order: Ints) -> Ints:
    """Where in `order` rows tie with others of which not all rise by `then_by`."""
    found, n_found, begin = np.empty(len(order), np.int64), 0, 0
    while begin < len(order):
        end, rises = begin + 1, True
        while end < len(order) and by[order[end]] == by[order[begin]]:
            rises = rises and then_by[order[end - 1]] <= then_by[order[end]]
            end += 1
        if not rises:
            for place in range(begin, end):
                found[n_found] = place
                n_found += 1
        begin = end
    return found[:n_found]
