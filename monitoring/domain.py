"""The multivariate check: can a classifier tell what was served from what was learnt from, better than it can tell ordinary weeks apart?

It sees what no column shows alone, such as two columns that no longer move together. Source: Lopez-Paz and Oquab, "Revisiting
Classifier Two-Sample Tests", 2017; Rabanser, Guennemann and Lipton, "Failing Loudly", 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_auc_score

from tidemill.drift import DOMAIN_SHARE, ReferenceProfile, tail_level
from tidemill.learning import Budget, domain_auc, domain_table

WINDOW_ROWS = 1_000
_LEAST_ROWS = 100
_LEAST_CYCLES = 3
_MOST_CYCLES = 12
_NAMED = 3


@dataclass(frozen=True)
class DomainCheck:
    """How well rows can be told apart.

    Args:
        auc: of a classifier on rows it has not seen; 0.5 where they cannot be told apart.
        threshold: what the AUC of a cycle of the reference against its others stays below; None where it covers too few cycles.
        columns: that told most, the strongest first: their own AUC is the farthest from 0.5.
    """

    auc: float
    threshold: float | None
    columns: tuple[str, ...]

    @property
    def told_apart(self) -> bool:
        """Whether this is more than ordinary cycles differ by."""
        return self.threshold is not None and self.auc > self.threshold

    def state(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "columns": list(self.columns), "told_apart": self.told_apart}


def ordinary_auc(
    profile: ReferenceProfile, sample: pd.DataFrame, sampled_at_ms: npt.NDArray[np.int64], every: tuple[Budget, int]
) -> float | None:
    """The threshold, from the reference alone: how well ordinary cycles are told apart.

    Each of its cycles (the newest twelve at most) is told from the others, and the tail of those AUCs goes on to where the budget
    allows one in that many checks.

    Args:
        profile: names the columns, and says how long a cycle is.
        sample: some of the rows that were learnt from.
        sampled_at_ms: (n_sample,) their stream times.
        every: the budget of false warnings of all detectors, and the stream time between two checks, ms.

    Returns:
        An AUC; None where the reference covers too few cycles.
    """
    budget, every_ms = every
    table = domain_table(sample[[column.name for column in profile.columns]])
    return _threshold(table, _cycles(sampled_at_ms, profile), budget.part(DOMAIN_SHARE).within(every_ms))


def tell_apart(profile: ReferenceProfile, sample: pd.DataFrame, current: pd.DataFrame, threshold: float | None) -> DomainCheck | None:
    """Try to tell rows from the reference's sample.

    Args:
        profile: names the columns.
        sample: some of the rows that were learnt from.
        current: rows that were served, 1,000 or so, evenly over a whole cycle: a part of one would be told by its hours alone.
        threshold: what `ordinary_auc` said of the sample.

    Returns:
        What was found; None with fewer than 100 rows on a side.
    """
    names = [column.name for column in profile.columns]
    if min(len(current), len(sample)) < _LEAST_ROWS:
        return None
    table = domain_table(pd.concat([sample[names], current[names]], ignore_index=True))
    is_new = np.arange(len(table)) >= len(sample)
    return DomainCheck(domain_auc(table, is_new), threshold, _tellers(table, is_new, names))


def _cycles(at_ms: npt.NDArray[np.int64], profile: ReferenceProfile) -> npt.NDArray[np.int64]:
    """The cycle of each row, counted back from the newest; a remainder at the beginning belongs to none (-1)."""
    if profile.block_ms <= 0:
        return np.full(len(at_ms), -1)
    back = (profile.end_ms - at_ms) // profile.block_ms
    return np.where(back < min(profile.cycles, _MOST_CYCLES), back, -1)


def _threshold(table: npt.NDArray[np.float64], cycle: npt.NDArray[np.int64], alarms_per_check: float) -> float | None:
    aucs = []
    for each in np.unique(cycle[cycle >= 0]):
        inside = np.flatnonzero(cycle == each)[-WINDOW_ROWS:]
        if len(inside) >= _LEAST_ROWS:
            others = np.flatnonzero(cycle != each)
            rows = np.concatenate((others, inside))
            aucs.append(domain_auc(table[rows], np.arange(len(rows)) >= len(others)))
    if len(aucs) < _LEAST_CYCLES:
        return None
    # An AUC ends at 1, its log-odds do not; the tail is theirs.
    odds = np.log(np.array(aucs) / (1.0 - np.minimum(aucs, 1.0 - 1e-6)))
    return float(1.0 / (1.0 + np.exp(-tail_level(odds[None, :], alarms_per_check))))


def _tellers(table: npt.NDArray[np.float64], is_new: npt.NDArray[np.bool_], names: Sequence[str]) -> tuple[str, ...]:
    away = [abs(float(roc_auc_score(is_new, table[:, place])) - 0.5) for place in range(len(names))]
    return tuple(names[place] for place in np.argsort(away)[::-1][:_NAMED])
