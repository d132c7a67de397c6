"""Warns, without labels, when a feature column leaves the range of its reference for two windows running."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.drift.reference import SCORE, WINDOW_ROWS, ColumnProfile, ReferenceProfile, Values
from tidemill.drift.statistics import Floats, ks_with_missing


@dataclass(frozen=True)
class ColumnWarning:
    """A column that looks different from training; no evidence of harm, so it never retrains on its own.

    Args:
        column: the column.
        statistic: KS (numeric) or chi-square (categorical) of the last window.
        threshold: what it had to stay below.
        since_ms: stream time of the first row of the first window of the run.
        at_ms: stream time of the row that completed the last one.
    """

    column: str
    statistic: float
    threshold: float
    since_ms: int
    at_ms: int


def window_thresholds(profile: ReferenceProfile) -> dict[str, float]:
    """The statistic each column, and the score, must stay below; a column the reference is too short for has none."""
    largest = {column.name: column.score(column.window.maximum) for column in (*profile.columns, profile.score) if column.window}
    if not largest:
        return {}
    usual = float(np.quantile(list(largest.values()), 0.9))
    judged = [column for column in (*profile.columns, profile.score) if column.name in largest]
    return {column.name: column.statistic_at(profile.margin * max(largest[column.name], usual, 1.0)) for column in judged}


class WindowedDrift:
    """Compares disjoint windows of 200 rows with the reference, each column against how much the reference differed from itself.

    A column's statistic becomes a score (0: the reference's median window, 1: its 99th percentile). It is high when the score exceeds
    the margin times the larger of two: the column's own largest score in the reference, and the 90th percentile of all columns'
    largest scores, which answers for looking at many columns at once. (With the largest of all, one jumpy column would blind the
    rest.) Two high windows in a row warn once; a quiet window ends the run.

    Args:
        profile: the reference of the model that serves.
        persistence: high windows in a row that make a warning.

    >>> from tidemill.drift.calibration import profile_reference
    >>> rng, hours = np.random.default_rng(0), np.arange(4_000) * 3_600_000
    >>> drift = WindowedDrift(profile_reference({"x": rng.normal(size=4_000)}, rng.random(4_000), hours))
    >>> drift.update({"x": rng.normal(size=400)}, np.arange(400))
    []
    >>> [warning.column for warning in drift.update({"x": rng.normal(2.0, size=400)}, np.arange(400, 800))]
    ['x']
    """

    def __init__(self, profile: ReferenceProfile, *, persistence: int = 2) -> None:
        self._columns = (*profile.columns, profile.score)
        self._persistence = persistence
        self._numeric = [index for index, column in enumerate(self._columns) if column.kind == "numeric"]
        self._width = max(column.n_bins for column in self._columns)
        self._reference = np.zeros((len(self._numeric), self._width))
        for row, index in enumerate(self._numeric):
            self._reference[row] = self._row(self._columns[index], self._columns[index].counts)
        self._thresholds = window_thresholds(profile)
        self._counts = np.zeros((len(self._columns), self._width), dtype=np.int64)
        self._filled = 0
        self._opened_ms = 0
        self._runs: dict[str, tuple[int, int]] = {}
        self._last: dict[str, float] = {}
        self._active: dict[str, ColumnWarning] = {}

    @property
    def active(self) -> list[ColumnWarning]:
        """The warnings whose columns are still high, as of the last complete window."""
        return list(self._active.values())

    @property
    def statistics(self) -> dict[str, float]:
        """The statistic of each judged column in the last complete window."""
        return dict(self._last)

    @property
    def thresholds(self) -> dict[str, float]:
        """The threshold of each column the reference can judge."""
        return dict(self._thresholds)

    def update(self, columns: Mapping[str, Values], at_ms: npt.ArrayLike, scores: Values | None = None) -> list[ColumnWarning]:
        """Take rows in; how they are split over calls does not matter.

        Args:
            columns: each (n_rows,), at least the columns of the reference.
            at_ms: (n_rows,) or one stream time for all.
            scores: (n_rows,) the model's scores; left out, the score is not judged.

        Returns:
            The columns that became high for the second window running, in the order of the reference.

        Raises:
            ValueError: a column is missing, of another length, or has text where training had numbers. Nothing is taken in then.
        """
        offered = {**columns} if scores is None else {**columns, SCORE: scores}
        codes = {column.name: column.encode(np.asarray(offered[column.name])) for column in self._wanted(offered)}
        n_rows = max((len(column) for column in codes.values()), default=0)
        if any(len(column) != n_rows for column in codes.values()):
            raise ValueError(f"columns of different lengths: { ({name: len(column) for name, column in codes.items()}) }")
        times = np.broadcast_to(np.asarray(at_ms, dtype=np.int64), (n_rows,))
        warnings: list[ColumnWarning] = []
        first = 0
        while first < n_rows:
            end = min(first + WINDOW_ROWS - self._filled, n_rows)
            self._count(codes, first, end, int(times[first]))
            if self._filled == WINDOW_ROWS:
                warnings += self._close(int(times[end - 1]))
            first = end
        return warnings

    def state(self) -> dict[str, Any]:
        """Everything a restart needs, as plain JSON values."""
        counts = {column.name: self._unpadded(index).tolist() for index, column in enumerate(self._columns)}
        return {
            "counts": counts if self._filled else {},
            "filled": self._filled,
            "opened_ms": self._opened_ms,
            "runs": {name: list(run) for name, run in self._runs.items()},
            "last": dict(self._last),
            "active": [vars(warning).copy() for warning in self._active.values()],
        }

    @classmethod
    def from_state(cls, profile: ReferenceProfile, state: Mapping[str, Any], *, persistence: int = 2) -> WindowedDrift:
        """The detector as it was; `profile` must be the one it was made with."""
        drift = cls(profile, persistence=persistence)
        for index, column in enumerate(drift._columns):
            if column.name in state["counts"]:
                drift._counts[index] = drift._row(column, state["counts"][column.name])
        drift._filled, drift._opened_ms = state["filled"], state["opened_ms"]
        drift._runs = {name: (run[0], run[1]) for name, run in state["runs"].items()}
        drift._last = dict(state["last"])
        drift._active = {raw["column"]: ColumnWarning(**raw) for raw in state["active"]}
        return drift

    def _wanted(self, offered: Mapping[str, Values]) -> list[ColumnProfile]:
        missing = [column.name for column in self._columns if column.name not in offered and column.name != SCORE]
        if missing:
            raise ValueError(f"the reference has columns these rows lack: {', '.join(missing)}")
        return [column for column in self._columns if column.name in offered]

    def _row(self, column: ColumnProfile, counts: Any) -> npt.NDArray[Any]:
        # Empty bins between the values and missing change no cumulative share, so columns of any number of bins stack.
        row = np.zeros(self._width, dtype=np.int64)
        row[: column.n_bins - 1], row[-1] = counts[:-1], counts[-1]
        return row

    def _unpadded(self, index: int) -> npt.NDArray[np.int64]:
        return np.append(self._counts[index, : self._columns[index].n_bins - 1], self._counts[index, -1])

    def _count(self, codes: Mapping[str, npt.NDArray[np.int64]], first: int, end: int, at_ms: int) -> None:
        if self._filled == 0:
            self._opened_ms = at_ms
        here = [index for index, column in enumerate(self._columns) if column.name in codes]
        cells = np.concatenate([self._cells(index, codes[self._columns[index].name][first:end]) for index in here])
        self._counts += np.bincount(cells, minlength=self._counts.size).reshape(self._counts.shape)
        self._filled += end - first

    def _cells(self, index: int, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        missing = codes == self._columns[index].n_bins - 1
        return np.where(missing, self._width - 1, codes) + index * self._width

    def _close(self, at_ms: int) -> list[ColumnWarning]:
        statistics: Floats = np.zeros(len(self._columns))
        statistics[self._numeric] = ks_with_missing(self._counts[self._numeric], self._reference)
        full = self._counts.sum(axis=1) == WINDOW_ROWS
        self._last = {}
        raised = []
        for index, column in enumerate(self._columns):
            threshold = self._thresholds.get(column.name)
            if threshold is None or not full[index]:
                self._end_run(column.name)
                continue
            numeric = column.kind == "numeric"
            statistic = float(statistics[index] if numeric else column.statistic(self._unpadded(index)))
            self._last[column.name] = statistic
            raised += self._judge(column.name, statistic, threshold, at_ms)
        self._counts[:] = 0
        self._filled = 0
        return raised

    def _judge(self, name: str, statistic: float, threshold: float, at_ms: int) -> list[ColumnWarning]:
        if statistic <= threshold:
            self._end_run(name)
            return []
        length, since_ms = self._runs.get(name, (0, self._opened_ms))
        self._runs[name] = (length + 1, since_ms)
        if length + 1 < self._persistence:
            return []
        warning = ColumnWarning(column=name, statistic=statistic, threshold=threshold, since_ms=since_ms, at_ms=at_ms)
        self._active[name] = warning
        return [warning] if length + 1 == self._persistence else []

    def _end_run(self, name: str) -> None:
        self._runs.pop(name, None)
        self._active.pop(name, None)
