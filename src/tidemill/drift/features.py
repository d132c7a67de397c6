"""Everything that watches the vectors a model was served with: windows, bets and checks, which together warn once a column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.drift.betting import BettingDrift
from tidemill.drift.budget import BETS_SHARE, CHECKS_SHARE, DEFAULT_BUDGET, WINDOWS_SHARE
from tidemill.drift.checks import Checks, plain_values
from tidemill.drift.reference import WINDOW_ROWS, ReferenceProfile, Values, encode_columns
from tidemill.drift.windows import Change, ColumnWarning, WindowedDrift
from tidemill.learning import Budget

Codes = npt.NDArray[np.int64]


class FeatureDrift:
    """Windows, bets and checks over one reference, within one budget of false alarms.

    A column that one of them has warned of is watched on in silence: another warning comes only after all have been quiet.

    Args:
        profile: the reference of the model that serves.
        budget: of false warnings of all columns, the score and the number of rows together.

    >>> from tidemill.drift.calibration import profile_reference
    >>> rng, hours = np.random.default_rng(0), np.arange(4_000) * 3_600_000
    >>> drift = FeatureDrift(profile_reference({"x": rng.normal(size=4_000)}, rng.random(4_000), hours))
    >>> [(warning.column, warning.detector) for warning in drift.update({"x": rng.normal(2.0, size=600)}, hours[:600])]
    [('x', 'bets')]
    """

    def __init__(self, profile: ReferenceProfile, budget: Budget = DEFAULT_BUDGET) -> None:
        self._profile = profile
        self.windows = WindowedDrift(profile, budget.part(WINDOWS_SHARE))
        self.bets = BettingDrift(profile, budget.part(BETS_SHARE))
        self.checks = Checks(profile, budget.part(CHECKS_SHARE))
        self._high: dict[str, list[str]] = {}
        self._warnings: dict[str, ColumnWarning] = {}

    @property
    def provisional(self) -> bool:
        """Whether the reference covers too few cycles to know its own swings."""
        return self._profile.provisional

    @property
    def active(self) -> list[ColumnWarning]:
        """The warnings of the columns that are not quiet yet."""
        return list(self._warnings.values())

    def update(self, columns: Mapping[str, Values], at_ms: npt.ArrayLike, scores: Values | None = None) -> list[ColumnWarning]:
        """Take rows in; how they are split over calls does not matter.

        Args:
            columns: each (n_rows,), at least the columns of the reference.
            at_ms: (n_rows,) stream times.
            scores: (n_rows,) the model's scores; left out, the score is not judged.

        Returns:
            One warning for each column that was quiet, in the order of their rows.

        Raises:
            ValueError: a column is missing, of another length, or has text where training had numbers. Nothing is taken in then.
        """
        codes = encode_columns(self._profile, columns, scores)
        values = plain_values(self._profile, columns)
        n_rows = max((len(column) for column in codes.values()), default=0)
        times = np.array(np.broadcast_to(np.asarray(at_ms, dtype=np.int64), (n_rows,)))
        raised: list[ColumnWarning] = []
        first = 0
        while first < n_rows:
            rows = slice(first, min(first + WINDOW_ROWS - self.windows.filled, n_rows))
            here = {name: column[rows] for name, column in codes.items()}
            for _, column, source, warning in self._changes({name: column[rows] for name, column in values.items()}, here, times[rows]):
                raised += self._judge(column, source, warning)
            first = rows.stop
        return raised

    def _changes(
        self, values: Mapping[str, Values], codes: Mapping[str, npt.NDArray[np.int64]], times: npt.NDArray[np.int64]
    ) -> list[Change]:
        """What changed in rows of one window, in the order of the rows; of one row the bets first, then checks, then the window."""
        changes: list[Change] = [(row, column, "bets", warning) for row, column, warning in self.bets.take(codes, times)]
        changes += self.checks.take(values, codes, times)
        before = [warning.column for warning in self.windows.active]
        changes += [(len(times) - 1, warning.column, "windows", warning) for warning in self.windows.take(codes, times)]
        still = {warning.column for warning in self.windows.active}
        changes += [(len(times) - 1, column, "windows", None) for column in before if column not in still]
        return sorted(changes, key=lambda change: change[0])

    def _judge(self, column: str, source: str, warning: ColumnWarning | None) -> list[ColumnWarning]:
        high = self._high.setdefault(column, [])
        if warning is None:
            high.remove(source)
            if not high:
                del self._high[column], self._warnings[column]
            return []
        high.append(source)
        if len(high) > 1:
            return []
        self._warnings[column] = warning
        return [warning]

    def state(self) -> dict[str, Any]:
        """Everything a restart needs, as plain JSON values."""
        return {
            "windows": self.windows.state(),
            "bets": self.bets.state(),
            "checks": self.checks.state(),
            "high": {column: list(sources) for column, sources in self._high.items()},
            "warnings": {column: vars(warning).copy() for column, warning in self._warnings.items()},
        }

    @classmethod
    def from_state(cls, profile: ReferenceProfile, state: Mapping[str, Any], budget: Budget = DEFAULT_BUDGET) -> FeatureDrift:
        """The detectors as they were; `profile` and `budget` must be those they were made with.

        Raises:
            KeyError: the state is of another kind.
        """
        drift = cls(profile, budget)
        drift.windows = WindowedDrift.from_state(profile, state["windows"], budget.part(WINDOWS_SHARE))
        drift.bets = BettingDrift.from_state(profile, state["bets"], budget.part(BETS_SHARE))
        drift.checks = Checks.from_state(profile, state["checks"], budget.part(CHECKS_SHARE))
        drift._high = {column: list(sources) for column, sources in state["high"].items()}
        drift._warnings = {column: ColumnWarning(**raw) for column, raw in state["warnings"].items()}
        return drift
