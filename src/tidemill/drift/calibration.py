"""Makes a `ReferenceProfile`: bins each training column, then asks how far the reference's own windows and weeks are from all of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tidemill.drift.reference import (
    CYCLE_MS,
    SCORE,
    CheckCalibration,
    ColumnProfile,
    Method,
    ReferenceProfile,
    Values,
    as_numbers,
    as_texts,
)
from tidemill.drift.replay import Blocks, replay_column, replay_volume
from tidemill.drift.score_bins import Scored, agreed, between_values
from tidemill.drift.statistics import Floats, jensen_shannon_counts, wasserstein_normed

Rows = npt.NDArray[np.int64]

SAMPLE_ROWS = 5_000
_EDGES = 101
_CATEGORIES = 100
_LEAST_CHUNKS = 2
_LEAST_VALUES = 30
# A constant column has no distance from itself; without a floor any single new value would fail it.
_LEAST_CHECK_THRESHOLD = 0.02


@dataclass(frozen=True)
class Sampling:
    """How the rows of a reference came about.

    Args:
        cycle_ms: the longest regular rhythm of the data.
        share: share of all rows that were learnt from.
        seed: of the samples of the weekly calibration.
    """

    cycle_ms: int = CYCLE_MS
    share: float = 1.0
    seed: int = 0


def profile_reference(
    columns: Mapping[str, Values],
    scores: Values,
    at_ms: Rows,
    sampling: Sampling = Sampling(),  # a frozen value
    *,
    scored: Scored | None = None,
) -> ReferenceProfile:
    """The profile of a training set.

    Numbers (any numeric or boolean dtype; NaN is missing) become numeric columns, all else (None is missing) categorical ones.
    The margin is 1.5, or 2 when the rows cover fewer than 10 whole cycles: a reference that has seen few cycles does not know how
    far apart two of them can be.

    Args:
        columns: each (n_rows,), the model's inputs before encoding.
        scores: (n_rows,) the model's score of the same rows, or of those that `scored` tells of. Scores of rows the model has learnt
            from are more certain than those it will give; what is served then differs from them from the first row on.
        at_ms: (n_rows,) stream time of each row, any order.
        sampling: how the rows came about.
        scored: of which other rows the scores are, and what the version that serves says of those.

    Raises:
        ValueError: no rows, no scores, or columns of different lengths.

    >>> profile = profile_reference({"carrier": np.array(["UA", "AA", None, "UA"])}, np.array([0.1, 0.2, 0.3, 0.4]), np.arange(4))
    >>> profile.columns[0].categories, profile.columns[0].counts, profile.columns[0].missing_rate
    (('UA', 'AA'), (2, 1, 0, 1), 0.25)
    """
    scored = scored or Scored(at_ms, scores)
    n_rows = len(at_ms)
    lengths = {name: len(values) for name, values in columns.items() if len(values) != n_rows}
    lengths |= {SCORE: len(scores)} if not len(scores) == len(scored.served) == len(scored.at_ms) else {}
    if n_rows == 0 or len(scored.at_ms) == 0 or lengths:
        raise ValueError(f"a reference needs rows, and columns of one length: {n_rows} times, but {lengths or 'no rows'}")
    of_rows, of_scores = _Timeline.of(at_ms, sampling), _Timeline.of(scored.at_ms, sampling)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # most of the time goes into numpy's sorting, which lets other threads run
        profiles = list(pool.map(lambda name: of_rows.profile(name, np.asarray(columns[name])), columns))
    said, served = (as_numbers(np.asarray(each), SCORE) for each in (scores, scored.served))
    return ReferenceProfile(
        n_rows=n_rows,
        start_ms=int(of_rows.times[0]),
        end_ms=int(of_rows.times[-1]),
        cycles=of_rows.cycles,
        margin=of_rows.margin,
        columns=tuple(profiles),
        score=of_scores.profile(SCORE, said, _score_edges(said, served)),
        block_ms=of_rows.block_ms,
        score_block_ms=of_scores.block_ms,
        share=sampling.share,
        volume=replay_volume(of_rows.times, of_rows.cycles, sampling.cycle_ms),
    )


@dataclass(frozen=True)
class _Timeline:
    """Rows in time order, and how they are divided."""

    times: Rows
    order: Rows
    span_ms: int
    cycles: int
    chunks: list[tuple[Rows, Rows]]

    @classmethod
    def of(cls, at_ms: Rows, sampling: Sampling) -> _Timeline:
        order = np.argsort(at_ms, kind="stable")
        times = np.asarray(at_ms, dtype=np.int64)[order]
        span_ms = int(times[-1] - times[0]) * len(times) // max(len(times) - 1, 1)  # the last row stands for as long as the others
        cycles = span_ms // sampling.cycle_ms
        chunks = _weekly_samples(times, sampling.cycle_ms, cycles, np.random.default_rng(sampling.seed))
        return cls(times, order, span_ms, cycles, chunks)

    @property
    def margin(self) -> float:
        return 1.5 if self.cycles >= 10 else 2.0

    @property
    def blocks(self) -> Blocks | None:
        return Blocks.of(len(self.times), self.cycles)

    @property
    def block_ms(self) -> int:
        return 0 if self.blocks is None else self.span_ms * self.blocks.n_rows // (len(self.times) * self.blocks.n_blocks)

    def profile(self, name: str, values: Values, edges: Floats | None = None) -> ColumnProfile:
        ordered = values[self.order]
        if ordered.dtype.kind in "fiub":
            numbers = as_numbers(ordered, name)
            column = _numeric(name, _percentiles(numbers) if edges is None else edges)
            distances = _numeric_distances(numbers, self.chunks)
        else:
            texts = as_texts(ordered)
            column = _categorical(name, texts)
            distances = _categorical_distances(texts, self.chunks)
        codes = column.encode(ordered)
        column = replace(column, counts=tuple(np.bincount(codes, minlength=column.n_bins).tolist()))
        if self.blocks is not None:
            column = replay_column(column, ordered, codes, self.blocks)
        return replace(column, check=_check(column, distances, self.margin))


def _percentiles(numbers: Floats) -> Floats:
    finite = numbers[np.isfinite(numbers)]
    return np.asarray(np.unique(np.quantile(finite, np.linspace(0.0, 1.0, _EDGES))) if finite.size else np.empty(0), dtype=np.float64)


def _score_edges(said: Floats, served: Floats) -> Floats:
    finite = said[np.isfinite(said)]
    return agreed(between_values(_percentiles(said), finite), said, served) if finite.size else finite


def _numeric(name: str, edges: Floats) -> ColumnProfile:
    return ColumnProfile(name=name, kind="numeric", edges=tuple(edges.tolist()), categories=(), counts=(0,) * (edges.size + 2))


def _categorical(name: str, texts: list[str | None]) -> ColumnProfile:
    counted = Counter(text for text in texts if text is not None)
    top = tuple(sorted(counted, key=lambda category: (-counted[category], category))[:_CATEGORIES])
    return ColumnProfile(name=name, kind="categorical", edges=(), categories=top, counts=(0,) * (len(top) + 2))


def _weekly_samples(times: Rows, cycle_ms: int, cycles: int, rng: np.random.Generator) -> list[tuple[Rows, Rows]]:
    """For each whole cycle (a week): sampled rows of it, and sampled rows of the rest."""
    starts = times[0] + cycle_ms * np.arange(cycles)
    samples = []
    for start in starts:
        first, end = np.searchsorted(times, (start, start + cycle_ms))
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
