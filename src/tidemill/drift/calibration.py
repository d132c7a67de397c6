"""Makes a `ReferenceProfile`: bins each training column, then asks how far the reference's own windows and weeks are from all of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tidemill.drift.reference import (
    CYCLE_MS,
    SCORE,
    WINDOW_ROWS,
    Calibration,
    CheckCalibration,
    ColumnProfile,
    Method,
    ReferenceProfile,
    Values,
    as_numbers,
    as_texts,
)
from tidemill.drift.statistics import Floats, jensen_shannon_counts, wasserstein_normed

Rows = npt.NDArray[np.int64]

SAMPLE_ROWS = 5_000
_EDGES = 101
_CATEGORIES = 100
_LEAST_WINDOWS = 5
_LEAST_CHUNKS = 2
_LEAST_VALUES = 30
# A constant column has no distance from itself; without a floor any single new value would fail it.
_LEAST_CHECK_THRESHOLD = 0.02


def profile_reference(columns: Mapping[str, Values], scores: Values, at_ms: npt.NDArray[np.int64], *, seed: int = 0) -> ReferenceProfile:
    """The profile of a training set.

    Numbers (any numeric or boolean dtype; NaN is missing) become numeric columns, all else (None is missing) categorical ones.
    The margin is 1.5, or 2 when the rows cover fewer than 10 whole weeks: a reference that has seen few cycles does not know how
    far apart two of them can be.

    Args:
        columns: each (n_rows,), the model's inputs before encoding.
        scores: (n_rows,) the model's score of the same rows, best out of fold.
        at_ms: (n_rows,) stream time of each row, any order.
        seed: of the samples of the weekly calibration.

    Raises:
        ValueError: no rows, or columns of different lengths.

    >>> profile = profile_reference({"carrier": np.array(["UA", "AA", None, "UA"])}, np.array([0.1, 0.2, 0.3, 0.4]), np.arange(4))
    >>> profile.columns[0].categories, profile.columns[0].counts, profile.columns[0].missing_rate
    (('UA', 'AA'), (2, 1, 0, 1), 0.25)
    """
    n_rows = len(at_ms)
    lengths = {name: len(values) for name, values in {**columns, SCORE: scores}.items() if len(values) != n_rows}
    if n_rows == 0 or lengths:
        raise ValueError(f"a reference needs rows, and columns of one length: {n_rows} times, but {lengths or 'no rows'}")
    order = np.argsort(at_ms, kind="stable")
    times = np.asarray(at_ms, dtype=np.int64)[order]
    span_ms = int(times[-1] - times[0]) * n_rows // max(n_rows - 1, 1)  # the last row stands for as long as the others
    cycles = span_ms // CYCLE_MS
    margin = 1.5 if cycles >= 10 else 2.0
    chunks = _weekly_samples(times, cycles, np.random.default_rng(seed))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # most of the time goes into numpy's sorting, which lets other threads run
        profiles = list(pool.map(lambda name: _profile(name, np.asarray(columns[name])[order], chunks, margin), columns))
    return ReferenceProfile(
        n_rows=n_rows,
        start_ms=int(times[0]),
        end_ms=int(times[-1]),
        cycles=cycles,
        margin=margin,
        columns=tuple(profiles),
        score=_profile(SCORE, as_numbers(np.asarray(scores), SCORE)[order], chunks, margin),
    )


def _profile(name: str, values: Values, chunks: list[tuple[Rows, Rows]], margin: float) -> ColumnProfile:
    if values.dtype.kind in "fiub":
        numbers = as_numbers(values, name)
        column = _numeric(name, numbers)
        distances = _numeric_distances(numbers, chunks)
    else:
        texts = as_texts(values)
        column = _categorical(name, texts)
        distances = _categorical_distances(texts, chunks)
    column, codes = _counted(column, values)
    return replace(column, window=_calibrate(column, codes), check=_check(column, distances, margin))


def _numeric(name: str, numbers: Floats) -> ColumnProfile:
    finite = numbers[np.isfinite(numbers)]
    edges = np.unique(np.quantile(finite, np.linspace(0.0, 1.0, _EDGES))) if finite.size else np.empty(0)
    return ColumnProfile(name=name, kind="numeric", edges=tuple(edges.tolist()), categories=(), counts=(0,) * (edges.size + 2))


def _categorical(name: str, texts: list[str | None]) -> ColumnProfile:
    counted = Counter(text for text in texts if text is not None)
    top = tuple(sorted(counted, key=lambda category: (-counted[category], category))[:_CATEGORIES])
    return ColumnProfile(name=name, kind="categorical", edges=(), categories=top, counts=(0,) * (len(top) + 2))


def _counted(column: ColumnProfile, values: Values) -> tuple[ColumnProfile, Rows]:
    codes = column.encode(values)
    return replace(column, counts=tuple(np.bincount(codes, minlength=column.n_bins).tolist())), codes


def _calibrate(column: ColumnProfile, codes: Rows) -> Calibration | None:
    n_windows = codes.size // WINDOW_ROWS
    if n_windows < _LEAST_WINDOWS:
        return None
    cells = codes[: n_windows * WINDOW_ROWS] + column.n_bins * np.repeat(np.arange(n_windows), WINDOW_ROWS)
    counts = np.bincount(cells, minlength=n_windows * column.n_bins).reshape(n_windows, column.n_bins)
    statistics = column.statistic(counts)
    return Calibration(median=float(np.median(statistics)), q99=float(np.quantile(statistics, 0.99)), maximum=float(statistics.max()))


def _weekly_samples(times: Rows, cycles: int, rng: np.random.Generator) -> list[tuple[Rows, Rows]]:
    """For each whole week of the reference: sampled rows of the week, and sampled rows of the rest."""
    starts = times[0] + CYCLE_MS * np.arange(cycles)
    samples = []
    for start in starts:
        first, end = np.searchsorted(times, (start, start + CYCLE_MS))
        week, n_rest = np.arange(first, end), times.size - (end - first)
        if week.size and n_rest:
            rest = rng.permutation(n_rest)[:SAMPLE_ROWS] if n_rest > SAMPLE_ROWS else np.arange(n_rest)
            inside = rng.permutation(week)[:SAMPLE_ROWS] if week.size > SAMPLE_ROWS else week
            samples.append((inside, np.where(rest < first, rest, rest + week.size)))
    return samples


def _numeric_distances(numbers: Floats, chunks: list[tuple[Rows, Rows]]) -> list[float]:
    distances = []
    for week, rest in chunks:
        current, reference = numbers[week], numbers[rest]
        current, reference = current[np.isfinite(current)], reference[np.isfinite(reference)]
        if min(current.size, reference.size) >= _LEAST_VALUES:
            distances.append(wasserstein_normed(reference, current))
    return distances


def _categorical_distances(texts: list[str | None], chunks: list[tuple[Rows, Rows]]) -> list[float]:
    known = {text: code for code, text in enumerate(dict.fromkeys(text for text in texts if text is not None))}
    codes = np.array([len(known) if text is None else known[text] for text in texts], dtype=np.int64)
    distances = []
    for week, rest in chunks:
        current, reference = (np.bincount(codes[rows], minlength=len(known) + 1)[:-1] for rows in (week, rest))
        if min(current.sum(), reference.sum()) >= _LEAST_VALUES:
            distances.append(jensen_shannon_counts(reference, current))
    return distances


def _check(column: ColumnProfile, distances: list[float], margin: float) -> CheckCalibration | None:
    if len(distances) < _LEAST_CHUNKS:
        return None
    largest = max(distances)
    method: Method = "wasserstein" if column.kind == "numeric" else "jensenshannon"
    return CheckCalibration(method=method, largest=largest, threshold=max(margin * largest, _LEAST_CHECK_THRESHOLD))
