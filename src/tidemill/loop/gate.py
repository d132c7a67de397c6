"""Does the challenger serve? Judged on the newest mature labels, row by row against the champion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.learning import block_of

_LEAST_SHARE = 0.001  # of the champion's loss


@dataclass(frozen=True)
class GateSettings:
    """What a challenger must do.

    Args:
        metric_name: what is compared; smaller is better.
        min_gain: least absolute improvement, and never less than a thousandth of the champion's loss: with every promotion its errors
            are watched anew, and a gain that nobody sees is not worth that.
        min_rows: least labelled rows to judge on.
        z: how many standard errors the gain must exceed; 0 does not ask for any.
    """

    metric_name: str = "log_loss"
    min_gain: float = 0.0
    min_rows: int = 200
    z: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """A paired comparison. `gain` is the mean of champion loss - challenger loss; `se` is None with fewer than two blocks."""

    champion: float
    challenger: float
    gain: float
    se: float | None
    n_rows: int
    n_blocks: int

    def interval(self, z: float = 1.96) -> tuple[float, float] | None:
        """The gain less and plus `z` standard errors, 95 % by default; None where there is no standard error."""
        return None if self.se is None else (self.gain - z * self.se, self.gain + z * self.se)


@dataclass(frozen=True)
class Verdict:
    """What the gate says; `gain` is None when there was nothing to compare with."""

    promote: bool
    reason: str
    gain: float | None = None


def judge(champion_metric: float | None, challenger_metric: float, n_rows: int, settings: GateSettings, se: float | None = None) -> Verdict:
    """Promote iff the gain is above 0, at least `min_gain` and a thousandth of the loss, and above `z` standard errors, on `min_rows` rows.

    A challenger with no champion before it is promoted as long as its metric is a number.

    >>> judge(0.50, 0.25, 5_000, GateSettings())
    Verdict(promote=True, reason='log_loss 0.25000 against 0.50000 on 5000 rows, gain 0.25000', gain=0.25)
    >>> judge(None, 0.453, 50, GateSettings()).reason
    'first model'
    >>> judge(0.472, 0.453, 50, GateSettings()).reason
    'only 50 labelled rows to judge on, at least 200 are needed'
    """
    if not math.isfinite(challenger_metric):
        return Verdict(False, f"the challenger's {settings.metric_name} is {challenger_metric}, not a number")
    if champion_metric is None:
        return Verdict(True, "first model")
    if not math.isfinite(champion_metric):
        return Verdict(False, f"the champion's {settings.metric_name} is {champion_metric}, nothing to compare with")
    gain = champion_metric - challenger_metric
    if n_rows < settings.min_rows:
        return Verdict(False, f"only {n_rows} labelled rows to judge on, at least {settings.min_rows} are needed", gain)
    figures = f"{settings.metric_name} {challenger_metric:.5f} against {champion_metric:.5f} on {n_rows} rows, gain {gain:.5f}"
    lack = _lack(gain, se, settings, max(settings.min_gain, _LEAST_SHARE * champion_metric))
    return Verdict(not lack, figures + lack, gain)


def compare(
    champion_losses: NDArray[np.float64], challenger_losses: NDArray[np.float64], at_ms: NDArray[np.int64], block_ms: int | None = None
) -> Comparison:
    """Compare two models on the same rows, with a standard error that lets rows of one block depend on each other.

    Rows of one day share their weather and their jams; taken as independent they make a gain look surer than it is.

    Args:
        champion_losses: (n_rows,) float64, the loss of each row.
        challenger_losses: (n_rows,) float64, the same rows in the same order.
        at_ms: (n_rows,) int64, the time of each row.
        block_ms: the length of a block; by default that of `block_of`.

    Raises:
        ValueError: no rows, or arrays of different lengths.

    Source: Cameron and Miller, "A Practitioner's Guide to Cluster-Robust Inference", 2015, the mean as the only regressor.

    >>> days = np.array([0, 0, 1, 1]) * 86_400_000
    >>> compare(np.array([0.5, 0.5, 0.9, 0.9]), np.array([0.4, 0.4, 0.6, 0.6]), days).se
    0.1...
    """
    n_rows = len(champion_losses)
    if n_rows == 0 or not n_rows == len(challenger_losses) == len(at_ms):
        raise ValueError(f"{n_rows} champion losses, {len(challenger_losses)} challenger losses, {len(at_ms)} times; give the same rows")
    gains = champion_losses - challenger_losses
    gain = float(gains.mean())
    _, block = np.unique(at_ms // (block_of(at_ms) if block_ms is None else block_ms), return_inverse=True)
    sums = np.bincount(block, weights=gains - gain)
    n_blocks = len(sums)
    se = math.sqrt(n_blocks / (n_blocks - 1) * float(sums @ sums)) / n_rows if n_blocks > 1 else None
    return Comparison(float(champion_losses.mean()), float(challenger_losses.mean()), gain, se, n_rows, n_blocks)


def _lack(gain: float, se: float | None, settings: GateSettings, least: float) -> str:
    """What the gain lacks, as the end of a sentence; empty when it suffices."""
    if gain <= 0:
        return ", no improvement"
    if gain < least:
        return f", below the least gain of {least:.5f}"
    if settings.z <= 0:
        return ""
    if se is None:
        return ", no standard error: the rows are of one moment"
    return "" if gain > settings.z * se else f", not above {settings.z:g} standard errors of {se:.5f}"
