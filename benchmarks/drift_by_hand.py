"""Windows against the reference by the tests people write by hand, in `make bench NAME=drift`: KS and chi-square with q-values, and PSI."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.drift_runs import Alarms
from benchmarks.drift_streams import PERIOD_ROWS, Floats, Rows
from tidemill.drift.significance import q_values

PSI_LIMIT = 0.2
_WINDOWS = (200, 1_000)
_PSI_BINS = 10
_LEAST_SHARE = 1e-4


@dataclass(frozen=True)
class ByHand:
    """Windows against the reference by two-sample tests and PSI, as one writes them by hand.

    `KS/BH` calls a window drifted when any column's q-value is below 0.05; with `at the budget` the limit is such that independent
    windows would keep the budget.
    """

    numbers: dict[str, Floats]  # sorted
    bins: dict[str, Floats]
    kinds: dict[str, dict[str, int]]

    @classmethod
    def of(cls, reference: Rows) -> ByHand:
        """Made of the reference's rows."""
        numbers = {name: np.sort(values) for name, values in reference.columns.items() if values.dtype.kind == "f"}
        bins = {name: np.quantile(values, np.linspace(0, 1, _PSI_BINS + 1)[1:-1]) for name, values in numbers.items()}
        kinds = {name: dict(Counter(values.tolist())) for name, values in reference.columns.items() if name not in numbers}
        return cls(numbers, bins, kinds)

    def alarms(self, live: Rows) -> Alarms:
        """The rows at which windows that are called drifted end, for each method and length."""
        return {method: rows for window in _WINDOWS for method, rows in self._of_length(live, window).items()}

    def _of_length(self, live: Rows, window: int) -> Alarms:
        ends = range(window, len(live.at_ms) + 1, window)
        found = [self._window(live.part(end - window, end)) for end in ends]
        q, psi = (np.array(side) for side in zip(*found, strict=True))
        last = np.array(ends) - 1
        limit = min(window / PERIOD_ROWS, 0.05)
        return {
            f"KS/BH 0.05 W={window}": last[q < 0.05].tolist(),
            f"KS/BH at the budget W={window}": last[q < limit].tolist(),
            f"PSI 0.2 W={window}": last[psi > PSI_LIMIT].tolist(),
        }

    def _window(self, rows: Rows) -> tuple[float, float]:
        p, psi = [], []
        for name, values in rows.columns.items():
            test = _ks(self.numbers[name], self.bins[name], values) if name in self.numbers else _chi(self.kinds[name], values)
            p.append(test[0])
            psi.append(test[1])
        return float(q_values(np.array(p)).min()), max(psi)


def _ks(reference: Floats, bins: Floats, values: Floats) -> tuple[float, float]:
    """p of the two-sample KS test on the values that are there, and PSI with a bin of missing ones."""
    from scipy import special  # type: ignore[import-untyped]  # scipy ships no types

    known = np.sort(values[~np.isnan(values)])
    shares = np.append(np.bincount(np.searchsorted(bins, known), minlength=_PSI_BINS), len(values) - len(known)) / len(values)
    psi = _psi(np.append(np.full(_PSI_BINS, 1.0 / _PSI_BINS), 0.0), shares)
    if not len(known):
        return 1.0, psi
    right, left = (np.searchsorted(reference, known, side) / len(reference) for side in ("right", "left"))
    steps = np.arange(len(known) + 1) / len(known)
    distance = max(float(np.abs(steps[1:] - right).max()), float(np.abs(left - steps[:-1]).max()))
    return float(special.kolmogorov(distance * np.sqrt(len(known) * len(reference) / (len(known) + len(reference))))), psi


def _chi(reference: dict[str, int], values: npt.NDArray[np.object_]) -> tuple[float, float]:
    """p of the chi-square test of the two samples' contingency table, and PSI."""
    from scipy import special

    live = Counter(values.tolist())
    keys = sorted({*reference, *live})
    table = np.array([[side.get(key, 0) for key in keys] for side in (reference, live)], dtype=np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    shares = table / table.sum(axis=1, keepdims=True)
    return float(special.chdtrc(len(keys) - 1, float(((table - expected) ** 2 / expected).sum()))), _psi(*shares)


def _psi(reference: Floats, live: Floats) -> float:
    ours, theirs = np.maximum(reference, _LEAST_SHARE), np.maximum(live, _LEAST_SHARE)
    return float(((theirs - ours) * np.log(theirs / ours)).sum())
