"""When did it begin? The change of an alarm, dated by each outcome since its CUSUM was last at zero.

A CUSUM dates a change by its last zero. That is the true beginning at best: luck before it lifts the sum too, and a sum of days knows days
alone. Challengers are fitted on the rows since the change, so each row from before it holds them down.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tidemill.drift.outcomes import Alarm
from tidemill.kernels import Floats, Ints
from tidemill.learning import Task, block_of

_LEAST = 50  # outcomes on either side; a change that is seen within so many needs no other date
_SURE = 3.0  # standard errors


def dated_again(alarm: Alarm, task: Task, y: npt.ArrayLike, p: npt.ArrayLike, at_ms: npt.ArrayLike) -> Alarm:
    """The alarm with the time from which on its version was worse, where its outcomes say clearly that this was after the last zero.

    Of all places to part the outcomes since then, the one where the means of the two parts are furthest apart is the least squares
    estimate of the change (Bai, "Least squares estimation of a shift in linear processes", 1994). What is compared is how far answers were
    off: (y - p)² of classes, |y - p| of values. The alarm is as it was where what comes after that place is not worse by three standard
    errors, of blocks that share their luck, or where 50 outcomes do not lie on either side.

    Args:
        alarm: of one version.
        task: of its model; what y and p are of it, `OutcomeMonitor` says.
        y: (n,) what came true of the version's answers; those from before `alarm.since_ms` and after `alarm.at_ms` are passed over.
        p: (n,) what it said.
        at_ms: (n,) when each became known, in any order.

    >>> alarm = Alarm("1", "residual", 12.0, 11.0, since_ms=0, at_ms=399, n_labels=400, detail="")
    >>> y = [0.0] * 300 + [1.0] * 100
    >>> dated = dated_again(alarm, "binary", y, [0.1] * 400, range(400))
    >>> dated.since_ms, dated.n_labels
    (300, 100)
    """
    came, said, known_at_ms = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64), np.asarray(at_ms, dtype=np.int64)
    since = np.flatnonzero((known_at_ms >= alarm.since_ms) & (known_at_ms <= alarm.at_ms))
    since = since[np.argsort(known_at_ms[since], kind="stable")]
    off, times = np.abs(came - said)[since], known_at_ms[since]
    place = _parting(off if task == "regression" else off * off, times)
    if place is None:
        return alarm
    began_ms = int(times[place])
    return replace(alarm, since_ms=began_ms, n_labels=int((times >= began_ms).sum()))


def _parting(values: Floats, at_ms: Ints) -> int | None:
    """Behind how many of (n,) values, in the order of their times, the others are higher; None where that may be luck."""
    n_values = len(values)
    if n_values < 2 * _LEAST:
        return None
    before = np.arange(_LEAST, n_values - _LEAST + 1)
    behind = n_values - before
    sums = np.cumsum(values)
    rise = (sums[-1] - sums[before - 1]) / behind - sums[before - 1] / before
    best = int(np.argmax(rise * np.sqrt(before * behind)))
    place = int(before[best])
    return place if rise[best] > _SURE * _error_of_rise(values, at_ms, place) else None


def _error_of_rise(values: Floats, at_ms: Ints, place: int) -> float:
    """The standard error of the difference of two means: that of independent values, or wider where blocks of time share their luck."""
    part = np.arange(len(values)) >= place
    n_behind = int(part.sum())
    off = values - np.where(part, values[place:].mean(), values[:place].mean())
    squares = float(off @ off)
    _, block = np.unique(2 * (at_ms // block_of(at_ms)) + part, return_inverse=True)
    in_blocks = np.bincount(block, weights=off)
    n_blocks = len(in_blocks)
    shared = float(in_blocks @ in_blocks) * n_blocks / (n_blocks - 2) if n_blocks > 2 else squares
    return math.sqrt(max(squares, shared) / len(values) * (1.0 / place + 1.0 / n_behind))
