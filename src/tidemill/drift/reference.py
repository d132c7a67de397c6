"""What the training rows looked like, kept beside the model: bins, rates, and how much the reference differs from itself over time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.clock import DAY_MS
from tidemill.drift.bets import categorical_gains, numeric_gains
from tidemill.drift.estimate import QualityReference
from tidemill.drift.statistics import Counts, Floats, chi_square, ks_with_missing

Values = npt.NDArray[Any]
Kind = Literal["numeric", "categorical"]
Method = Literal["wasserstein", "jensenshannon"]

WINDOW_ROWS = 200
CYCLE_MS = 7 * DAY_MS
SCORE = "(score)"  # the model's score, watched like a column; no feature can have this name

# A column that hardly moved in training would make any change infinitely surprising: about a third of the iid spread of W=200.
_LEAST_SPREAD = {"numeric": 0.02, "categorical": 2.0}
# A sum of fair bets on independent rows passes each further nat e times less often, so from its median to its 99th percentile it has
# about log(50) to go; less than that was luck.
LEAST_BET_SPREAD = float(np.log(50.0))


@dataclass(frozen=True)
class Calibration:
    """A window statistic over the reference's own disjoint windows, replayed in time order."""

    median: float
    q99: float
    maximum: float

    def score(self, statistic: float, least_spread: float) -> float:
        """How unusual a statistic is: 0 at the reference's median, 1 at its 99th percentile."""
        return (statistic - self.median) / max(self.q99 - self.median, least_spread)

    def statistic_at(self, score: float, least_spread: float) -> float:
        """The statistic that has this score."""
        return self.median + score * max(self.q99 - self.median, least_spread)


@dataclass(frozen=True)
class CheckCalibration:
    """The weekly check of a column: Evidently's name of the method, the largest own weekly distance, the threshold made of it."""

    method: Method
    largest: float
    threshold: float


@dataclass(frozen=True)
class Ordinary:
    """What the reference shows of a column where no statistics are needed.

    Args:
        low: smallest finite value of a numeric column; None where there is none.
        high: largest one.
        longest_run: rows in a row with one value (missing is a value here).
        beyond: most values of a window that lay outside of the range of the other blocks.
        missing: most missing values of a window.
        unseen: most values of a window in a category that no other block has.
    """

    low: float | None
    high: float | None
    longest_run: int
    beyond: int = 0
    missing: int = 0
    unseen: int = 0


@dataclass(frozen=True)
class ColumnProfile:
    """One column of the reference.

    The bins of a numeric column are `(-inf, edges[0]]`, `(edges[0], edges[1]]`, ..., then above the last edge, then missing;
    those of a categorical one are its categories by falling count, then all others, then missing.

    Args:
        name: the column.
        kind: `numeric` (float64, NaN is missing) or `categorical` (text, None is missing).
        edges: quantiles of a numeric column, rising, at most 101; empty for a categorical one.
        categories: the most frequent categories, at most 100; empty for a numeric one.
        counts: reference rows in each bin.
        window: calibration of the live windows; None when the reference has too few windows to say.
        check: calibration of the weekly check; None when it has too few whole weeks.
        bets: calibration of each bet, in the order of `gains`; empty when the reference has too few windows.
        window_peaks: for each block of the reference, the largest score of two windows running, judged by the other blocks.
        bet_peaks: for each block, the largest score of a bet, judged by the other blocks.
        ordinary: what the checks hold the column against.
    """

    name: str
    kind: Kind
    edges: tuple[float, ...]
    categories: tuple[str, ...]
    counts: tuple[int, ...]
    window: Calibration | None = None
    check: CheckCalibration | None = None
    bets: tuple[Calibration, ...] = ()
    window_peaks: tuple[float, ...] = ()
    bet_peaks: tuple[float, ...] = ()
    ordinary: Ordinary | None = None

    @property
    def n_bins(self) -> int:
        """Number of bins, the rest and missing included."""
        return len(self.counts)

    @property
    def missing_rate(self) -> float:
        """Share of the reference rows without a value."""
        return self.counts[-1] / max(sum(self.counts), 1)

    @property
    def typical(self) -> float | str | None:
        """The value in the middle of the reference, or the most frequent category; NaN or None where missing is more usual.

        >>> ColumnProfile("x", "numeric", edges=(1.0, 2.0, 3.0), categories=(), counts=(2, 3, 2, 0, 1)).typical
        2.0
        """
        if self.kind == "categorical":
            return self.categories[0] if self.categories and self.counts[0] >= self.counts[-1] else None
        known = np.cumsum(self.counts[:-1])
        if not self.edges or self.missing_rate > 0.5:
            return float("nan")
        return self.edges[min(int(np.searchsorted(known, known[-1] / 2)), len(self.edges) - 1)]

    def encode(self, values: Values) -> npt.NDArray[np.int64]:
        """The bin of each value: (n,) anything -> (n,) int64.

        Raises:
            ValueError: text in a numeric column.
        """
        if self.kind == "numeric":
            numbers = as_numbers(values, self.name)
            codes = np.searchsorted(np.asarray(self.edges), numbers, side="left")
            return np.where(np.isnan(numbers), self.n_bins - 1, codes).astype(np.int64)
        known = {category: code for code, category in enumerate(self.categories)}
        rest, missing = self.n_bins - 2, self.n_bins - 1
        return np.array([missing if text is None else known.get(text, rest) for text in as_texts(values)], dtype=np.int64)

    def gains(self, counts: Counts | None = None) -> Floats:
        """What a row of each bin is worth to each bet: (n_bins, n_bets) nats; against the reference's counts where none are given."""
        reference = np.asarray(self.counts if counts is None else counts, dtype=np.float64)
        return numeric_gains(reference) if self.kind == "numeric" else categorical_gains(reference)

    def statistic(self, counts: Counts, against: Counts | None = None) -> Floats:
        """KS or chi-square of windows against the reference: (..., n_bins) counts of `WINDOW_ROWS` rows -> (...).

        Args:
            counts: of the windows.
            against: (n_bins,) the reference's counts; all of them where left out.
        """
        reference = np.asarray(self.counts if against is None else against, dtype=np.float64)
        if self.kind == "numeric":
            return ks_with_missing(counts, reference)
        # Chi-square needs an expectation of about 1 in each cell: rarer categories are pooled, and the rest and missing are
        # taken to have at least that, or a single new value would outweigh everything the window says.
        least = reference.sum() / WINDOW_ROWS
        keep = reference[:-2] >= least
        window = np.asarray(counts, dtype=np.float64)
        pooled = _pool(window, keep)
        expected = _pool(reference, keep)
        expected[-2:] = np.maximum(expected[-2:], least)
        return chi_square(pooled, expected)

    @property
    def least_spread(self) -> float:
        """The least distance from median to 99th percentile that a window statistic is taken to have."""
        return _LEAST_SPREAD[self.kind]

    def score(self, statistic: float) -> float:
        """How unusual a window statistic is: 0 at the reference's median, 1 at its 99th percentile; 0 without a calibration."""
        return 0.0 if self.window is None else self.window.score(statistic, self.least_spread)

    def statistic_at(self, score: float) -> float:
        """The window statistic that has this score."""
        return float("inf") if self.window is None else self.window.statistic_at(score, self.least_spread)


@dataclass(frozen=True)
class Volume:
    """Rows of a stretch of stream time: their mean in each of the equal slots of a cycle, and how they strayed from it.

    Args:
        slot_ms: length of a slot.
        rows: mean rows of each slot of a cycle, the first slot beginning with the reference.
        strayed: calibration of the distance from the mean, in standard deviations of a Poisson count.
        peaks: for each cycle, the largest score of that distance, judged by the other cycles.
    """

    slot_ms: int
    rows: tuple[float, ...]
    strayed: Calibration
    peaks: tuple[float, ...]


@dataclass(frozen=True)
class ReferenceProfile:
    """The reference a model was trained on; made once by `profile_reference`, kept with the model as JSON.

    Args:
        n_rows: training rows.
        start_ms: time of the first row.
        end_ms: time of the last row.
        cycles: whole cycles the rows cover.
        margin: by how much live data must exceed the reference's own largest difference; larger with few cycles.
        columns: one profile a feature.
        score: the profile of the model's score.
        block_ms: stream time of one block of the replay, a whole cycle where there are two or more; 0 where nothing was replayed.
        score_block_ms: the same of the scores, which may come from fewer rows.
        share: share of all rows that were learnt from; live there are the others too.
        volume: rows by time; None with fewer than three whole cycles.
        quality: what its answers are worth, of rows it had not learnt from; None where that was not told.

    >>> from tidemill.drift.calibration import profile_reference
    >>> rng, hours = np.random.default_rng(0), np.arange(2_000) * 3_600_000
    >>> profile = profile_reference({"x": rng.normal(size=2_000)}, rng.random(2_000), hours)
    >>> profile.cycles, profile.margin, profile.provisional
    (11, 1.5, False)
    >>> ReferenceProfile.from_json(profile.to_json()) == profile
    True
    """

    n_rows: int
    start_ms: int
    end_ms: int
    cycles: int
    margin: float
    columns: tuple[ColumnProfile, ...]
    score: ColumnProfile
    block_ms: int = 0
    score_block_ms: int = 0
    share: float = 1.0
    volume: Volume | None = None
    quality: QualityReference | None = None

    @property
    def provisional(self) -> bool:
        """True when the reference covers too few cycles to know its own swings, so that the wider margin holds."""
        return self.cycles < 10

    def column(self, name: str) -> ColumnProfile:
        """The profile of one feature.

        Raises:
            KeyError: the reference has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"the reference has no column {name!r}; it has {', '.join(column.name for column in self.columns)}")

    def to_json(self) -> str:
        """As JSON text; floats come back bit for bit."""
        return json.dumps(asdict(self), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ReferenceProfile:
        """The profile of `to_json`."""
        raw = json.loads(text)
        columns = tuple(_column(column) for column in raw.pop("columns"))
        quality = raw.pop("quality", None)  # versions made before it was kept have none
        known = None if quality is None else QualityReference.from_json(quality)
        score, volume = _column(raw.pop("score")), _volume(raw.pop("volume", None))
        return cls(columns=columns, score=score, volume=volume, quality=known, **raw)


def encode_columns(
    profile: ReferenceProfile, columns: Mapping[str, Values], scores: Values | None = None
) -> dict[str, npt.NDArray[np.int64]]:
    """The bins of rows, by column, in the order of the reference; the score only where it is given.

    Raises:
        ValueError: a column is missing, of another length, or has text where training had numbers.
    """
    missing = [column.name for column in profile.columns if column.name not in columns]
    if missing:
        raise ValueError(f"the reference has columns these rows lack: {', '.join(missing)}")
    codes = {column.name: column.encode(np.asarray(columns[column.name])) for column in profile.columns}
    if scores is not None:
        codes[SCORE] = profile.score.encode(np.asarray(scores))
    if len({len(column) for column in codes.values()}) > 1:
        raise ValueError(f"columns of different lengths: { ({name: len(column) for name, column in codes.items()}) }")
    return codes


def as_numbers(values: Values, name: str) -> Floats:
    """Values as float64; None is NaN.

    Raises:
        ValueError: some are not numbers.
    """
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} was numeric in training, now it has values that are not numbers: {error}") from error


def as_texts(values: Values) -> list[str | None]:
    """Values as text; None, NaN and NaT are None."""
    array = np.asarray(values, dtype=object)
    return [None if gone else str(value) for value, gone in zip(array.tolist(), pd.isna(array).tolist(), strict=True)]


def _pool(counts: Floats, keep: npt.NDArray[np.bool_]) -> Floats:
    rest = counts[..., -2] + counts[..., :-2][..., ~keep].sum(axis=-1)
    return np.concatenate((counts[..., :-2][..., keep], rest[..., None], counts[..., -1:]), axis=-1)


def _column(raw: Mapping[str, Any]) -> ColumnProfile:
    window, check, ordinary = raw["window"], raw["check"], raw.get("ordinary")
    lists = {name: tuple(raw.get(name, ())) for name in ("edges", "categories", "counts", "window_peaks", "bet_peaks")}
    return ColumnProfile(
        name=raw["name"],
        kind=raw["kind"],
        window=None if window is None else Calibration(**window),
        check=None if check is None else CheckCalibration(**check),
        bets=tuple(Calibration(**bet) for bet in raw.get("bets", ())),
        ordinary=None if ordinary is None else Ordinary(**ordinary),
        **lists,
    )


def _volume(raw: Mapping[str, Any] | None) -> Volume | None:
    if raw is None:
        return None
    return Volume(raw["slot_ms"], tuple(raw["rows"]), Calibration(**raw["strayed"]), tuple(raw["peaks"]))
