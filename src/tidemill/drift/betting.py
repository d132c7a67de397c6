"""Watches every row of every column by bets against the reference: what wins for long was no luck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.drift.budget import BETS_SHARE, DEFAULT_BUDGET, score_levels
from tidemill.drift.reference import LEAST_BET_SPREAD, ColumnProfile, ReferenceProfile, Values, encode_columns
from tidemill.drift.statistics import Floats
from tidemill.drift.windows import ColumnWarning
from tidemill.kernels import advance_bets, idle_sums
from tidemill.learning import Budget

Codes = npt.NDArray[np.int64]


class _Column:
    """The bets on one column; `warning` is set while it is high."""

    def __init__(self, profile: ColumnProfile, level: float) -> None:
        self.name = profile.name
        self.warning: ColumnWarning | None = None
        self._gains = np.ascontiguousarray(profile.gains())
        self.levels: Floats = np.array([bet.statistic_at(level, LEAST_BET_SPREAD) for bet in profile.bets])
        self.sums, self.since_ms, self._peaks = idle_sums(len(profile.bets))

    @property
    def highest(self) -> int:
        """The bet that is nearest to its level."""
        return int(np.argmax(self.sums / self.levels))

    def take(self, codes: Codes, times: Codes) -> list[tuple[int, ColumnWarning | None]]:
        """Take rows in; the rows at which the column became high, with the warning, or quiet again, with None."""
        changes: list[tuple[int, ColumnWarning | None]] = []
        first = 0
        while first < len(codes):
            high = self.warning is not None
            args = self._gains, self.levels, self.sums, self.since_ms, self._peaks, high
            row = first + advance_bets(codes[first:], times[first:], *args)
            if row == len(codes):
                break
            self.warning = None if high else self._warn(int(times[row]))
            changes.append((row, self.warning))
            first = row + 1
        return changes

    def _warn(self, at_ms: int) -> ColumnWarning:
        bet = self.highest
        nats, since_ms = float(self.sums[bet]), int(self.since_ms[bet])
        detail = f"its rows have won a bet against the reference by {nats:.3g} nats, more than the budget of false alarms lets pass"
        return ColumnWarning(self.name, nats, float(self.levels[bet]), since_ms, at_ms, "bets", detail)


class BettingDrift:
    """Reflected sums of what bets on each row would have won: a CUSUM for each way a column can change, no window to wait for.

    A bet wins in the mean when the column has changed its way, and loses in the mean while it has not. Its sum starts again at 0 when
    all is lost. With independent rows it would pass h nats about once in e to the h rows; rows that follow one another and weeks
    that turn are no such rows, so each bet is held against its own replay on the reference, and the level on that scale follows from
    the budget. A column warns once when any of its sums reaches its level, and may again after all were below half of it.

    Args:
        profile: the reference of the model that serves.
        budget: of false alarms of all columns together.

    Source: Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", 2022; Waudby-Smith and
    Ramdas, "Estimating means of bounded random variables by betting", 2024.

    >>> from tidemill.drift.calibration import profile_reference
    >>> rng, hours = np.random.default_rng(0), np.arange(4_000) * 3_600_000
    >>> drift = BettingDrift(profile_reference({"x": rng.normal(size=4_000)}, rng.random(4_000), hours))
    >>> drift.update({"x": rng.normal(size=300)}, np.arange(300))
    []
    >>> warning = drift.update({"x": rng.normal(2.0, size=100)}, np.arange(300, 400))[0]
    >>> warning.column, warning.at_ms < 330
    ('x', True)
    """

    def __init__(self, profile: ReferenceProfile, budget: Budget = DEFAULT_BUDGET.part(BETS_SHARE)) -> None:  # noqa: B008
        levels = score_levels(profile, budget, lambda column: column.bet_peaks)
        self._profile = profile
        self._columns = [_Column(column, levels[column.name]) for column in (*profile.columns, profile.score) if column.name in levels]

    @property
    def active(self) -> list[ColumnWarning]:
        """The warnings whose columns are not quiet yet."""
        return [column.warning for column in self._columns if column.warning is not None]

    @property
    def statistics(self) -> dict[str, tuple[float, float]]:
        """For each judged column the sum that is nearest to its level, and that level, in nats."""
        return {column.name: (float(column.sums[bet]), float(column.levels[bet])) for column in self._columns for bet in (column.highest,)}

    def update(self, columns: Mapping[str, Values], at_ms: npt.ArrayLike, scores: Values | None = None) -> list[ColumnWarning]:
        """Take rows in; how they are split over calls does not matter.

        Args:
            columns: each (n_rows,), at least the columns of the reference.
            at_ms: (n_rows,) or one stream time for all.
            scores: (n_rows,) the model's scores; left out, the score is not judged.

        Returns:
            The warnings, in the order of their rows.

        Raises:
            ValueError: a column is missing, of another length, or has text where training had numbers. Nothing is taken in then.
        """
        codes = encode_columns(self._profile, columns, scores)
        n_rows = max((len(column) for column in codes.values()), default=0)
        times = np.array(np.broadcast_to(np.asarray(at_ms, dtype=np.int64), (n_rows,)))
        return [warning for _, _, warning in self.take(codes, times) if warning is not None]

    def take(self, codes: Mapping[str, Codes], times: Codes) -> list[tuple[int, str, ColumnWarning | None]]:
        """`update` of rows whose bins are known already; the rows at which columns became high (with the warning) or quiet (None)."""
        changes = [
            (row, column.name, warning)
            for column in self._columns
            if column.name in codes
            for row, warning in column.take(codes[column.name], times)
        ]
        return sorted(changes, key=lambda change: change[0])  # stable: columns of one row stay in the order of the reference

    def state(self) -> dict[str, Any]:
        """Everything a restart needs, as plain JSON values."""
        return {
            column.name: {
                "sums": column.sums.tolist(),
                "since_ms": column.since_ms.tolist(),
                "warning": None if column.warning is None else vars(column.warning).copy(),
            }
            for column in self._columns
        }

    @classmethod
    def from_state(
        cls,
        profile: ReferenceProfile,
        state: Mapping[str, Any],
        budget: Budget = DEFAULT_BUDGET.part(BETS_SHARE),  # noqa: B008
    ) -> BettingDrift:
        """The detector as it was; `profile` must be the one it was made with."""
        drift = cls(profile, budget)
        for column in drift._columns:
            saved = state[column.name]
            column.sums, column.since_ms = np.array(saved["sums"], dtype=np.float64), np.array(saved["since_ms"], dtype=np.int64)
            column.warning = None if saved["warning"] is None else ColumnWarning(**saved["warning"])
        return drift
