"""Checks that need no statistics: a value that no longer changes, values out of range, categories nobody knows, rows that stay away.

What they hold a column against is what the reference itself did at most, with a margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.clock import to_utc
from tidemill.drift.budget import CHECKS_SHARE, DEFAULT_BUDGET, tail_level
from tidemill.drift.reference import WINDOW_ROWS, ColumnProfile, Ordinary, ReferenceProfile, Values, as_numbers, encode_columns
from tidemill.drift.replay import SLOTS, outside, same_as_before
from tidemill.drift.volume import RowCount
from tidemill.drift.windows import Change, ColumnWarning
from tidemill.learning import Budget

Codes = npt.NDArray[np.int64]

RUN_MARGIN, LEAST_RUN = 3, 50
COUNT_MARGIN, LEAST_COUNT = 2, 3
_EXAMPLES = 3
_Fault = dict[str, Any]


class _Run:
    """One value, again and again: a column stands still when its run is three times the longest of the reference, and at least 50 rows.

    For independent values of which one has share p, runs of length L come with p to the power of L; three times the longest of n rows
    comes about once in n squared rows.
    """

    def __init__(self, column: ColumnProfile, ordinary: Ordinary, share: float) -> None:
        self.column = column
        # rows that were not learnt from lie between those that were, and lengthen a run
        self.limit = max(int(RUN_MARGIN * ordinary.longest_run / share), LEAST_RUN)
        self.judged = self.limit < sum(column.counts) / share
        self.last: float | str | None = None
        self.length = 0
        self.since_ms = 0

    def take(self, values: Values, codes: Codes, times: Codes) -> list[Change]:
        """The rows at which the column began to stand still (with the warning), or moved again (None)."""
        if not self.judged or not len(codes):
            return []
        same = np.concatenate(([self.length > 0 and _plain(self.column, values, codes, 0) == self.last], same_as_before(values, codes)))
        bounds = np.unique(np.concatenate(([0], np.flatnonzero(~same), [len(codes)])))
        changes: list[Change] = []
        for run in _worth_a_look(np.diff(bounds), self.limit):
            first, end = int(bounds[run]), int(bounds[run + 1])
            if not same[first]:
                if self.length >= self.limit:
                    changes.append((first, self.column.name, "run", None))
                self.length, self.since_ms = 0, int(times[first])
            reached = first + self.limit - self.length - 1
            if self.length < self.limit and reached < end:
                warning = self._warn(_plain(self.column, values, codes, reached), int(times[reached]))
                changes.append((reached, self.column.name, "run", warning))
            self.length += end - first
        self.last = _plain(self.column, values, codes, len(codes) - 1)
        return changes

    def _warn(self, value: float | str | None, at_ms: int) -> ColumnWarning:
        shown = f"{value:.6g}" if isinstance(value, float) else value
        what = "is missing in" if value is None else f"has been {shown} in"
        detail = f"{what} {self.limit} rows running, at most {self.limit // RUN_MARGIN} is usual; the data may be broken"
        return ColumnWarning(self.column.name, float(self.limit), float(self.limit), self.since_ms, at_ms, "checks", detail)

    def fault(self) -> _Fault | None:
        """What a retrain must not learn from."""
        if self.length < self.limit or not self.judged:
            return None
        return {"column": self.column.name, "what": "all missing" if self.last is None else "stuck", "since_ms": self.since_ms}


class _Counts:
    """How many values of a window are out of range, missing or in a category nobody knows."""

    def __init__(self, column: ColumnProfile, ordinary: Ordinary) -> None:
        self.column, self._ordinary = column, ordinary
        self.limits = [COUNT_MARGIN * most + LEAST_COUNT for most in (ordinary.beyond, ordinary.missing, ordinary.unseen)]
        self.counts = [0, 0, 0]
        self.examples: list[str] = []

    def take(self, values: Values, codes: Codes) -> None:
        """Rows of one window."""
        column, ordinary = self.column, self._ordinary
        self.counts[1] += int((codes == column.n_bins - 1).sum())
        if column.kind == "categorical":
            if column.counts[-2] == 0:  # else some categories of the reference have no bin of their own
                unknown = np.flatnonzero(codes == column.n_bins - 2)
                self.counts[2] += len(unknown)
                self._keep(str(value) for value in values[unknown[:_EXAMPLES]])
        elif ordinary.low is not None and ordinary.high is not None:
            beyond = np.flatnonzero(outside(values, ordinary.low, ordinary.high))
            self.counts[0] += len(beyond)
            self._keep(f"{number:.4g}" for number in values[beyond[:_EXAMPLES]])

    def _keep(self, examples: Iterable[str]) -> None:
        self.examples = list(dict.fromkeys([*self.examples, *examples]))[:_EXAMPLES]

    def close(self, opened_ms: int, at_ms: int) -> ColumnWarning | None:
        """The warning of a complete window; the next one begins."""
        counts, examples, self.counts, self.examples = self.counts, self.examples, [0, 0, 0], []
        for count, limit, what in zip(counts, self.limits, self._said(examples), strict=True):
            if count > limit:
                detail = f"{count} of {WINDOW_ROWS} values {what}, at most {limit} are usual"
                return ColumnWarning(self.column.name, float(count), float(limit), opened_ms, at_ms, "checks", detail)
        return None

    def _said(self, examples: Sequence[str]) -> tuple[str, str, str]:
        shown = f" ({', '.join(examples)})"
        low, high = self._ordinary.low, self._ordinary.high
        beyond = "" if low is None or high is None else f"lie far outside of the reference's {low:.4g} to {high:.4g}{shown}"
        return beyond, "are missing", f"are in categories the reference has not{shown}"


class Checks:
    """The checks of all columns of one reference.

    Args:
        profile: the reference of the model that serves.
        budget: of false alarms of the number of rows; the limits of the other checks are the reference's own, with a margin.

    >>> from tidemill.drift.calibration import profile_reference
    >>> rng, hours = np.random.default_rng(0), np.arange(4_000) * 3_600_000
    >>> checks = Checks(profile_reference({"x": rng.normal(size=4_000)}, rng.random(4_000), hours))
    >>> [warning.detail for warning in checks.update({"x": np.full(60, 0.5)}, np.arange(60))]
    ['has been 0.5 in 50 rows running, at most 16 is usual; the data may be broken']
    >>> checks.faults
    [{'column': 'x', 'what': 'stuck', 'since_ms': 0}]
    """

    def __init__(self, profile: ReferenceProfile, budget: Budget = DEFAULT_BUDGET.part(CHECKS_SHARE)) -> None:  # noqa: B008
        self._profile = profile
        watched = [(column, column.ordinary) for column in profile.columns if column.ordinary is not None]
        self._runs = {column.name: _Run(column, ordinary, profile.share) for column, ordinary in watched}
        self._counts = {column.name: _Counts(column, ordinary) for column, ordinary in watched}
        self._rows = None
        if profile.volume is not None:
            cycle_ms = SLOTS * profile.volume.slot_ms
            level = max(tail_level(np.array([profile.volume.peaks]), budget.within(cycle_ms)), 1.0)
            self._rows = RowCount(profile.volume, profile.start_ms, level)
        self._filled, self._opened_ms = 0, 0
        self._high: set[str] = set()

    @property
    def faults(self) -> list[_Fault]:
        """Columns that stand still or are missing altogether: `{"column", "what", "since_ms"}` each. Nothing should be learnt from them."""
        return [fault for run in self._runs.values() if (fault := run.fault()) is not None]

    def update(self, columns: Mapping[str, Values], at_ms: npt.ArrayLike) -> list[ColumnWarning]:
        """Take rows in; how they are split over calls does not matter.

        Args:
            columns: each (n_rows,), at least the columns of the reference.
            at_ms: (n_rows,) stream times.

        Raises:
            ValueError: a column is missing, of another length, or has text where training had numbers. Nothing is taken in then.
        """
        codes = encode_columns(self._profile, columns)
        times = np.asarray(at_ms, dtype=np.int64)
        values = plain_values(self._profile, columns)
        return [warning for _, _, _, warning in self.take(values, codes, times) if warning is not None]

    def take(self, values: Mapping[str, Values], codes: Mapping[str, Codes], times: Codes) -> list[Change]:
        """`update` of rows whose bins are known already; what changed at which row, in the order of the rows."""
        changes = [change for name, run in self._runs.items() for change in run.take(values[name], codes[name], times)]
        first = 0
        while first < len(times):
            end = min(first + WINDOW_ROWS - self._filled, len(times))
            if self._filled == 0:
                self._opened_ms = int(times[first])
            for name, counts in self._counts.items():
                counts.take(values[name][first:end], codes[name][first:end])
            self._filled += end - first
            if self._filled == WINDOW_ROWS:
                changes += self._close(end - 1, int(times[end - 1]))
            first = end
        if self._rows is not None:
            changes += self._rows.take(times)
        return sorted(changes, key=lambda change: change[0])

    def _close(self, row: int, at_ms: int) -> list[Change]:
        self._filled = 0
        changes: list[Change] = []
        for name, counts in self._counts.items():
            warning = counts.close(self._opened_ms, at_ms)
            if (warning is not None) != (name in self._high):
                changes.append((row, name, "counts", warning))
                self._high ^= {name}
        return changes

    def state(self) -> dict[str, Any]:
        """Everything a restart needs, as plain JSON values."""
        rows = self._rows
        return {
            "runs": {name: [run.last, run.length, run.since_ms] for name, run in self._runs.items()},
            "counts": {name: [*counts.counts, counts.examples] for name, counts in self._counts.items()},
            "rows": None if rows is None else [rows.slot, rows.n_rows, list(rows.first_cycle), rows.high],
            "filled": self._filled,
            "opened_ms": self._opened_ms,
            "high": sorted(self._high),
        }

    @classmethod
    def from_state(
        cls,
        profile: ReferenceProfile,
        state: Mapping[str, Any],
        budget: Budget = DEFAULT_BUDGET.part(CHECKS_SHARE),  # noqa: B008
    ) -> Checks:
        """The checks as they were; `profile` must be the one they were made with."""
        checks = cls(profile, budget)
        for name, run in checks._runs.items():
            run.last, run.length, run.since_ms = state["runs"][name]
        for name, counts in checks._counts.items():
            *counts.counts, examples = state["counts"][name]
            counts.examples = list(examples)
        if checks._rows is not None:
            slot, n_rows, first_cycle, high = state["rows"]
            checks._rows.slot, checks._rows.n_rows, checks._rows.first_cycle, checks._rows.high = slot, n_rows, list(first_cycle), high
        checks._filled, checks._opened_ms, checks._high = state["filled"], state["opened_ms"], set(state["high"])
        return checks


def _worth_a_look(lengths: Codes, limit: int) -> list[int]:
    """The runs of a batch that can change anything: long ones and those after them, the first two and the last."""
    long = np.flatnonzero(lengths >= limit)
    return sorted(run for run in {0, 1, len(lengths) - 1, *long.tolist(), *(long + 1).tolist()} if run < len(lengths))


def data_faults(state: Mapping[str, Any] | None) -> list[str]:
    """The faults in a state saved as `windows:MODEL`, for a person; none where nothing was saved.

    >>> data_faults({"faults": [{"column": "wind", "what": "stuck", "since_ms": 0}]})
    ['column wind is stuck since 1970-01-01T00:00+00:00']
    """
    faults = (state or {}).get("faults", [])
    return [
        f"column {fault['column']} is {fault['what']} since {to_utc(fault['since_ms']).isoformat(timespec='minutes')}" for fault in faults
    ]


def plain_values(profile: ReferenceProfile, columns: Mapping[str, Values]) -> dict[str, Values]:
    """The reference's columns of some rows, numeric ones as float64."""
    return {
        column.name: as_numbers(columns[column.name], column.name) if column.kind == "numeric" else np.asarray(columns[column.name])
        for column in profile.columns
    }


def _plain(column: ColumnProfile, values: Values, codes: Codes, row: int) -> float | str | None:
    """The value of a row as it is compared and saved; None when it is missing."""
    if codes[row] == column.n_bins - 1:
        return None
    if column.kind == "categorical":
        return "(another)" if codes[row] == column.n_bins - 2 else column.categories[codes[row]]
    number = float(values[row])
    return number if math.isfinite(number) else str(number)  # JSON has no infinity
