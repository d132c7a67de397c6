"""Warns, without labels, when a feature column leaves the range of its reference for two windows running."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidemill.drift.budget import DEFAULT_BUDGET, WINDOWS_SHARE, score_levels
from tidemill.drift.reference import WINDOW_ROWS, ColumnProfile, ReferenceProfile, Values, encode_columns
from tidemill.drift.shape import shape
from tidemill.drift.significance import Significance, significance
from tidemill.drift.statistics import Floats, ks_with_missing
from tidemill.learning import Budget

Detector = Literal["windows", "bets", "checks"]


@dataclass(frozen=True)
class ColumnWarning:
    """A column that looks different from training; no evidence of harm, so it never retrains on its own.

    Args:
        column: the column, `(score)` for the model's score or `(rows)` for how many there are.
        statistic: KS (numeric) or chi-square (categorical) of the last window, the sum of a bet in nats, or what a check counted.
        threshold: what it had to stay below.
        since_ms: stream time at which the change is taken to have begun.
        at_ms: stream time of the row that gave the warning.
        detector: who gave it.
        detail: what was seen, for a person.
    """

    column: str
    statistic: float
    threshold: float
    since_ms: int
    at_ms: int
    detector: Detector = "windows"
    detail: str = ""


Change = tuple[int, str, str, ColumnWarning | None]  # at which row, of which column, what; with the warning, or None when it is over


def window_thresholds(profile: ReferenceProfile, budget: Budget = DEFAULT_BUDGET.part(WINDOWS_SHARE)) -> dict[str, float]:  # noqa: B008
    """The statistic each column, and the score, must stay below; a column the reference is too short for has none."""
    levels = score_levels(profile, budget, lambda column: column.window_peaks)
    return {column.name: column.statistic_at(levels[column.name]) for column in (*profile.columns, profile.score) if column.name in levels}


class WindowedDrift:
    """Compares disjoint windows of 200 rows with the reference, each column against how much the reference differed from itself.

    A column's statistic becomes a score (0: the reference's median window, 1: its 99th percentile). It is high when the score exceeds
    a level which two windows running of the reference, replayed, exceed in any column as often as the budget allows. Two high windows
    in a row warn once; a quiet window ends the run.

    Args:
        profile: the reference of the model that serves.
        budget: of false alarms of all columns together.

    >>> from tidemill.drift.calibration import profile_reference
    >>> rng, hours = np.random.default_rng(0), np.arange(4_000) * 3_600_000
    >>> drift = WindowedDrift(profile_reference({"x": rng.normal(size=4_000)}, rng.random(4_000), hours))
    >>> drift.update({"x": rng.normal(size=400)}, np.arange(400))
    []
    >>> [warning.column for warning in drift.update({"x": rng.normal(2.0, size=400)}, np.arange(400, 800))]
    ['x']
    """

    def __init__(self, profile: ReferenceProfile, budget: Budget = DEFAULT_BUDGET.part(WINDOWS_SHARE)) -> None:  # noqa: B008
        self._profile = profile
        self._columns = (*profile.columns, profile.score)
        self._numeric = [index for index, column in enumerate(self._columns) if column.kind == "numeric"]
        self._width = max(column.n_bins for column in self._columns)
        self._reference = np.zeros((len(self._numeric), self._width))
        for row, index in enumerate(self._numeric):
            self._reference[row] = self._row(self._columns[index], self._columns[index].counts)
        self._thresholds = window_thresholds(profile, budget)
        self._counts = np.zeros((len(self._columns), self._width), dtype=np.int64)
        self._filled = 0
        self._opened_ms = 0
        self._runs: dict[str, tuple[int, int]] = {}
        self._last: dict[str, float] = {}
        self._active: dict[str, ColumnWarning] = {}
        self._significance: dict[str, Significance] = {}
        self._judged: dict[str, tuple[ColumnProfile, npt.NDArray[np.int64]]] = {}
        self._unshaped = self._judged
        self._shapes: dict[str, dict[str, Any]] = {}

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

    @property
    def significance(self) -> dict[str, Significance]:
        """PSI and q-value of each column in the last complete window, to be shown; nothing follows from them."""
        if self._judged:  # worked out when somebody looks: it costs more than the window itself
            self._significance, self._judged = significance(self._judged), {}
        return dict(self._significance)

    @property
    def shapes(self) -> dict[str, dict[str, Any]]:
        """The distribution of each judged column in the last complete window beside the reference's, see `shape`; empty after a restart."""
        if self._unshaped:
            self._shapes, self._unshaped = {name: shape(*each) for name, each in self._unshaped.items()}, {}
        return dict(self._shapes)

    @property
    def filled(self) -> int:
        """Rows in the window that is open."""
        return self._filled

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
        codes = encode_columns(self._profile, columns, scores)
        n_rows = max((len(column) for column in codes.values()), default=0)
        return self.take(codes, np.broadcast_to(np.asarray(at_ms, dtype=np.int64), (n_rows,)))

    def take(self, codes: Mapping[str, npt.NDArray[np.int64]], times: npt.NDArray[np.int64]) -> list[ColumnWarning]:
        """`update` of rows whose bins are known already: (n_rows,) by column, from `encode_columns`."""
        n_rows = len(times)
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
            "significance": {name: list(each) for name, each in self.significance.items()},
        }

    @classmethod
    def from_state(
        cls,
        profile: ReferenceProfile,
        state: Mapping[str, Any],
        budget: Budget = DEFAULT_BUDGET.part(WINDOWS_SHARE),  # noqa: B008
    ) -> WindowedDrift:
        """The detector as it was; `profile` must be the one it was made with."""
        drift = cls(profile, budget)
        for index, column in enumerate(drift._columns):
            if column.name in state["counts"]:
                drift._counts[index] = drift._row(column, state["counts"][column.name])
        drift._filled, drift._opened_ms = state["filled"], state["opened_ms"]
        drift._runs = {name: (run[0], run[1]) for name, run in state["runs"].items()}
        drift._last = dict(state["last"])
        drift._active = {raw["column"]: ColumnWarning(**raw) for raw in state["active"]}
        drift._significance = {name: Significance(*raw) for name, raw in state["significance"].items()}
        return drift

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
        raised: list[ColumnWarning] = []
        self._judged = {}
        for index, column in enumerate(self._columns):
            threshold = self._thresholds.get(column.name)
            if threshold is None or not full[index]:
                self._end_run(column.name)
                continue
            numeric = column.kind == "numeric"
            statistic = float(statistics[index] if numeric else column.statistic(self._unpadded(index)))
            self._last[column.name] = statistic
            self._judged[column.name] = column, self._unpadded(index)
            raised += self._judge(column.name, statistic, threshold, at_ms)
        self._significance = {}
        self._unshaped = self._judged
        self._counts[:] = 0
        self._filled = 0
        return raised

    def _judge(self, name: str, statistic: float, threshold: float, at_ms: int) -> list[ColumnWarning]:
        if statistic <= threshold:
            self._end_run(name)
            return []
        length, since_ms = self._runs.get(name, (0, self._opened_ms))
        self._runs[name] = (length + 1, since_ms)
        if length == 0:
            return []
        detail = f"its distribution differs from the reference by {statistic:.3g} in two windows running, at most {threshold:.3g} is usual"
        self._active[name] = ColumnWarning(name, statistic, threshold, since_ms, at_ms, "windows", detail)
        return [self._active[name]] if length == 1 else []

    def _end_run(self, name: str) -> None:
        self._runs.pop(name, None)
        self._active.pop(name, None)
