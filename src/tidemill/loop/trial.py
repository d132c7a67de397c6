"""A challenger's trial: beside the champion on the same rows, as a whole, slice by slice, in its calibration and in its latency.

```
the whole ──► each guarded slice ──► calibration ──► latency ──► promoted
    │               │                    │              │
    └───────────────┴── rejected, and it says by which ─┘
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tidemill.loop.gate import Comparison, GateSettings, Verdict, compare, judge

Floats = NDArray[np.float64]
_BINS = 10


@dataclass(frozen=True)
class TrialSettings:
    """What a challenger must show beyond the gate's gain; see `RetrainPolicy` of `tidemill.learning` for each.

    Args:
        gate: the gain as a whole.
        slice_margin: loss of a slice that is let pass.
        slice_min_rows: least rows of a slice that is judged.
        calibration_margin: by how much the calibration error may exceed the champion's, beyond the gate's standard errors.
        latency_factor: how many times the champion's time a row it may take.
        latency_floor_ms: a time a row that is always fast enough.
    """

    gate: GateSettings = field(default_factory=GateSettings)
    slice_margin: float = 0.0
    slice_min_rows: int = 200
    calibration_margin: float = 0.02
    latency_factor: float = 3.0
    latency_floor_ms: float = 0.5


@dataclass(frozen=True)
class Slice:
    """The comparison on the rows of one value of a column; None stands for a missing value."""

    column: str
    value: str | None
    comparison: Comparison


@dataclass(frozen=True)
class Trial:
    """What is known of a challenger beside the champion.

    Args:
        comparison: on all rows.
        slices: on each guarded slice that has rows enough.
        calibration: the comparison of `miscalibration`; None where outcomes have none (a regression).
        latency_ms: the times a row of champion and challenger; None while they have not been measured.
    """

    comparison: Comparison
    slices: tuple[Slice, ...] = ()
    calibration: Comparison | None = None
    latency_ms: tuple[float, float] | None = None


def compare_slices(
    champion: Floats, challenger: Floats, at_ms: NDArray[np.int64], texts: Mapping[str, Sequence[str | None]], least: int
) -> tuple[Slice, ...]:
    """The comparison on each value with at least `least` rows of each text column.

    Args:
        champion: (n,) the loss of each row.
        challenger: (n,) the same rows.
        at_ms: (n,) int64, when each was asked.
        texts: by column, the (n,) value of each row.
        least: fewest rows of a slice.
    """
    found: list[Slice] = []
    for column, values in texts.items():
        held = np.array(["" if value is None else f"={value}" for value in values], dtype=object)  # so that "" is not missing
        for told in sorted(set(held.tolist())):
            mine = held == told
            if int(mine.sum()) >= least:
                comparison = compare(champion[mine], challenger[mine], at_ms[mine])
                found.append(Slice(column, told[1:] if told else None, comparison))
    return tuple(found)


def miscalibration(correct: Floats, confidence: Floats) -> Floats:
    """What each row adds to the expected calibration error over ten bins of equal size: (n,) float64 whose mean that error is.

    A row adds what came true minus what was said, with the sign of its bin's sum. So two models' errors are compared row by row as
    their losses are, with the luck of a day in the standard error; the sign of a bin that is well calibrated is luck in itself, for
    both of them alike.

    Args:
        correct: (n,) 0 or 1: whether it came true.
        confidence: (n,) the probability with which it was said.

    Source: Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015, with bins of equal size.

    >>> round(float(miscalibration(np.array([0.0, 1.0] * 50), np.full(100, 0.75)).mean()), 3)
    0.25
    """
    off = correct - confidence
    order = np.argsort(confidence, kind="stable")
    for rows in np.array_split(order, min(_BINS, max(1, len(order)))):
        off[rows] *= np.sign(off[rows].sum())
    return off


def judge_trial(trial: Trial, settings: TrialSettings) -> Verdict:
    """Promote iff the gate lets it pass and no slice, calibration or latency speaks against it; the reason names the first that does.

    >>> one = Comparison(0.5, 0.4, 0.1, 0.01, 900, 7)
    >>> judge_trial(Trial(one), TrialSettings()).promote
    True
    >>> worse = Slice("origin", "JFK", Comparison(0.4, 0.5, -0.1, 0.01, 300, 7))
    >>> judge_trial(Trial(one, slices=(worse,)), TrialSettings()).reason
    'log_loss 0.40000 against 0.50000 on 900 rows, gain 0.10000, but on origin = JFK worse by 0.10000 on 300 rows'
    """
    one = trial.comparison
    verdict = judge(one.champion, one.challenger, one.n_rows, settings.gate, one.se)
    if not verdict.promote:
        return verdict
    against = _slice_against(trial.slices, settings) or _calibration_against(trial, settings) or _latency_against(trial, settings)
    return verdict if not against else Verdict(False, f"{verdict.reason}, but {against}", verdict.gain)


def z_of_slices(z: float, n_slices: int) -> float:
    """By how many standard errors one of several slices must be worse, so that by luck one is as seldom as a single slice beyond `z`.

    The union bound over the slices (Bonferroni, 1936), whatever they share.

    >>> [round(z_of_slices(1.0, n), 2) for n in (0, 1, 3, 20)], z_of_slices(0.0, 20)
    ([1.0, 1.0, 1.62, 2.41], 0.0)
    """
    tail = NormalDist().cdf(-z) / max(1, n_slices)
    return max(z, -NormalDist().inv_cdf(tail)) if z > 0 and tail > 0 else z


def _slice_against(slices: Sequence[Slice], settings: TrialSettings) -> str:
    judged = [one for one in slices if one.comparison.n_rows >= settings.slice_min_rows]
    z = z_of_slices(settings.gate.z, len(judged))
    worse = [one for one in judged if -one.comparison.gain - z * (one.comparison.se or 0.0) > settings.slice_margin]
    if not worse:
        return ""
    worst = min(worse, key=lambda one: one.comparison.gain)
    others = f" and {len(worse) - 1} more" if len(worse) > 1 else ""
    value = "missing" if worst.value is None else worst.value
    return f"on {worst.column} = {value} worse by {-worst.comparison.gain:.5f} on {worst.comparison.n_rows} rows{others}"


def _calibration_against(trial: Trial, settings: TrialSettings) -> str:
    """Log loss is a proper score and has calibration in it, so a gain that outweighs what calibration costs speaks for the challenger.

    An error of calibration e costs at least 2 e^2 nats (Pinsker's inequality).
    """
    one = trial.calibration
    if one is None or -one.gain - settings.gate.z * (one.se or 0.0) <= settings.calibration_margin:
        return ""
    if 2.0 * (one.challenger**2 - one.champion**2) <= trial.comparison.gain:
        return ""
    beyond = f"{settings.calibration_margin:g} more is allowed beyond {settings.gate.z:g} standard errors of {one.se or 0.0:.4f}"
    return f"its calibration error is {one.challenger:.4f}, the champion's {one.champion:.4f}, and {beyond}"


def _latency_against(trial: Trial, settings: TrialSettings) -> str:
    if trial.latency_ms is None:
        return ""
    champion, challenger = trial.latency_ms
    if challenger <= max(settings.latency_floor_ms, settings.latency_factor * champion):
        return ""
    return f"it takes {challenger:.3f} ms a row, the champion {champion:.3f}, and {settings.latency_factor:g} times that is allowed"
