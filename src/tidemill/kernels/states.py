"""States of aggregates: rows of float64, merged column by column, and what they say."""

from __future__ import annotations

import math

import numpy as np

from tidemill.kernels.compiling import Floats, Ints, compiled, inlined

ADD, LEAST, GREATEST, SPREAD, LATEST, FOLLOWS = range(6)  # how a column of two states becomes one; FOLLOWS: with the one before it
TOTAL, SUM, MEAN, EXTREME, VARIANCE, DEVIATION, KEPT = range(7)  # what a state says


@inlined
def merge_state(merges: Ints, is_odd: bool, into: Floats, to: int, states: Floats, row: int, skip: int) -> None:
    """Merge `states[row, skip:]` into `into[to]`, by `merges` (width,); `is_odd`: some of these take several columns together."""
    for column in range(len(merges)):
        how, ours, other = merges[column], into[to, column], states[row, skip + column]
        if how == ADD:
            into[to, column] = ours + other
        elif how == LEAST:
            into[to, column] = min(ours, other)
        elif how == GREATEST:
            into[to, column] = max(ours, other)
    if is_odd:
        _merge_odd(merges, into, to, states, row, skip)


@compiled
def _merge_odd(merges: Ints, into: Floats, to: int, states: Floats, row: int, skip: int) -> None:
    for column in range(len(merges)):
        if merges[column] == SPREAD:
            _merge_spread(into, to, column, states, row, skip + column)
        elif merges[column] == LATEST:
            _merge_latest(merges, into, to, column, states, row, skip)


@compiled
def _merge_spread(into: Floats, to: int, column: int, states: Floats, row: int, other: int) -> None:
    """n, mean, M2; Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979."""
    count, more = into[to, column], states[row, other]
    if more > 0:
        share, apart = more / (count + more), states[row, other + 1] - into[to, column + 1]
        into[to, column + 2] += states[row, other + 2] + apart * apart * count * share
        into[to, column + 1] += apart * share
        into[to, column] = count + more


@compiled
def _merge_latest(merges: Ints, into: Floats, to: int, column: int, states: Floats, row: int, skip: int) -> None:
    """The greater row of columns stays, compared one after another."""
    end = column + 1
    while end < len(merges) and merges[end] == FOLLOWS:
        end += 1
    for place in range(column, end):
        if states[row, skip + place] != into[to, place]:
            if states[row, skip + place] > into[to, place]:
                for taken in range(column, end):
                    into[to, taken] = states[row, skip + taken]
            return


@compiled
def merge_runs(merges: Ints, states: Floats, starts: Ints) -> Floats:
    """(len(starts), width): runs of (m, width) states merged; run i is `starts[i]:starts[i + 1]`, none empty."""
    is_odd = bool(np.any(merges >= SPREAD))
    merged = np.empty((len(starts), states.shape[1]))
    for run in range(len(starts)):
        end = starts[run + 1] if run + 1 < len(starts) else len(states)
        merged[run] = states[starts[run]]
        for row in range(starts[run] + 1, end):
            merge_state(merges, is_odd, merged, run, states, row, 0)
    return merged


@compiled
def state_value(says: int, states: Floats, row: int, begin: int, end: int) -> float:
    """What the state in columns `begin:end` says; NaN for missing."""
    first: float = states[row, begin]
    last: float = states[row, end - 1]
    if says == TOTAL:
        return first
    if says == EXTREME:
        return first if abs(first) < np.inf else np.nan
    if says == KEPT:
        return last if first > -np.inf else np.nan
    if says in (VARIANCE, DEVIATION):
        if first < 2 or not last < np.inf:
            return np.nan
        return last / (first - 1) if says == VARIANCE else math.sqrt(last / (first - 1))
    if first == 0 or not last < np.inf:
        return np.nan
    return last if says == SUM else last / first


@compiled
def read_values(reads: Ints, merged: Floats) -> Floats:
    """(n, features): what n x windows states say, n after n; `reads` has a row (says, windows, window, begin, end) for each feature."""
    n_windows = reads[0, 1]
    values = np.empty((len(merged) // n_windows, len(reads)))
    for row in range(len(values)):
        for feature in range(len(reads)):
            says, window, begin, end = reads[feature, 0], reads[feature, 2], reads[feature, 3], reads[feature, 4]
            values[row, feature] = state_value(says, merged, row * n_windows + window, begin, end)
    return values
