"""How far two samples are apart: KS and chi-square on binned counts for live windows, W1 and Jensen-Shannon for the weekly check."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64] | Floats


def ks(counts: Counts, reference: Counts) -> Floats:
    """The two-sample Kolmogorov-Smirnov statistic of binned samples.

    Args:
        counts: (..., n_bins) rows in each bin, in the order of the values; missing values have the last bin.
        reference: (..., n_bins) the same for the reference; broadcasts against `counts`.

    Returns:
        (...) the largest difference of the cumulative shares, 0 to 1; 0 where `counts` is empty.

    Source: Smirnov, "Table for Estimating the Goodness of Fit of Empirical Distributions", 1948.

    >>> float(ks(np.array([0, 4]), np.array([5, 5])))
    0.5
    """
    difference = _shares(counts).cumsum(axis=-1) - _shares(reference).cumsum(axis=-1)
    return np.asarray(np.abs(difference).max(axis=-1) * (np.asarray(counts).sum(axis=-1) > 0), dtype=np.float64)


def ks_with_missing(counts: Counts, reference: Counts) -> Floats:
    """The larger of `ks` and twice the difference of the missing rates.

    In KS alone a fifth of the values going missing drowns: its threshold comes from the noise of all values, while the missing
    rate of most columns has next to none. Twice, because in ordinary windows that stays below KS.

    >>> float(ks_with_missing(np.array([4, 4, 2]), np.array([5, 5, 0])))
    0.4
    """
    rates = _shares(counts)[..., -1] - _shares(reference)[..., -1]
    return np.asarray(np.maximum(ks(counts, reference), 2.0 * np.abs(rates) * (np.asarray(counts).sum(axis=-1) > 0)), dtype=np.float64)


def chi_square(counts: Counts, reference: Counts) -> Floats:
    """Pearson's chi-square statistic of the contingency table of two samples (no continuity correction).

    Args:
        counts: (..., n_bins) rows in each bin.
        reference: (n_bins,) the reference's rows in each bin.

    Returns:
        (...) the statistic; bins empty on both sides count nothing.

    Source: Pearson, "On the criterion that a given system of deviations...", 1900. The reference is a sample like the other, not
    the truth: treating it as exact makes the statistic grow with the window.

    >>> float(chi_square(np.array([0, 10]), np.array([10, 10])).round(3))
    7.5
    """
    window = np.asarray(counts, dtype=np.float64)
    other = np.asarray(reference, dtype=np.float64)
    n, m = window.sum(axis=-1, keepdims=True), other.sum()
    expected = (window + other) * n / (n + m)
    weight = np.divide(1.0, expected, out=np.zeros_like(expected), where=expected > 0) * (1.0 + n / m)
    return np.asarray(((window - expected) ** 2 * weight).sum(axis=-1), dtype=np.float64)


def wasserstein_normed(reference: Floats, current: Floats) -> float:
    """The first Wasserstein distance in units of the reference's standard deviation, as Evidently's `wasserstein`.

    Args:
        reference: (n,) finite values, not empty.
        current: (m,) finite values, not empty.

    Returns:
        W1 / max(std(reference), 0.001).

    >>> wasserstein_normed(np.array([0.0, 2.0]), np.array([1.0, 3.0]))
    1.0
    """
    ours, theirs = np.sort(reference), np.sort(current)
    both = np.sort(np.concatenate((ours, theirs)))
    left, steps = both[:-1], np.diff(both)
    gap = ours.searchsorted(left, "right") / ours.size - theirs.searchsorted(left, "right") / theirs.size
    return float(np.abs(gap) @ steps) / max(float(np.std(reference)), 0.001)


def jensen_shannon(reference: Mapping[str, int], current: Mapping[str, int]) -> float:
    """The Jensen-Shannon distance (natural logarithm) of two category counts, as Evidently's `jensenshannon`.

    Args:
        reference: rows of each category, missing ones left out; at least one row.
        current: the same.

    >>> round(jensen_shannon({"a": 1}, {"b": 1}), 6) == round(float(np.sqrt(np.log(2))), 6)
    True
    """
    keys = sorted({*reference, *current})
    counts = np.array([[side.get(key, 0) for key in keys] for side in (reference, current)], dtype=np.float64)
    return float(jensen_shannon_counts(counts[0], counts[1]))


def jensen_shannon_counts(reference: Counts, current: Counts) -> float:
    """`jensen_shannon` of two (n_categories,) count arrays in the same order."""
    p, q = _shares(reference), _shares(current)
    middle = (p + q) / 2.0
    parts = [np.where(side > 0, side * np.log(np.where(side > 0, side, 1.0) / np.where(middle > 0, middle, 1.0)), 0.0) for side in (p, q)]
    return float(np.sqrt(max(0.0, float(parts[0].sum() + parts[1].sum())) / 2.0))


def _shares(counts: Counts) -> Floats:
    total = np.asarray(counts).sum(axis=-1, keepdims=True)
    return np.asarray(counts / np.maximum(total, 1), dtype=np.float64)
