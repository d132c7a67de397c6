"""Ways to keep a model fresh that one would write by hand: never, at fixed times, or when ADWIN says that its errors have changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.loop_streams import Periodic
from benchmarks.prequential import Prequential, Scorer
from tidemill.cli.reference import Year
from tidemill.kernels import Floats
from tidemill.learning import TrainingSet, fit_all
from tidemill.learning.metrics import losses

LEAST_ROWS = 1_000  # after a change, before they are fitted on
_SUREST = 0.999  # no answer counts as surer in the log loss: one sure mistake of a tree would be all of it
Watch = Callable[[npt.NDArray[np.float64]], tuple[int, int] | None]


@dataclass(frozen=True)
class Played:
    """What came of a way to keep a model fresh.

    Args:
        rows: how many were asked.
        accuracy: share of right answers, a probability of one half counting as 1.
        log_loss: the mean, no answer surer than 0.999.
        fits: every one: the first model, rejected ones, and the last fit of a winner.
        counts: what else is worth counting, by name.
        story: what happened when, for whoever asks why.
    """

    rows: int
    accuracy: float
    log_loss: float
    fits: int
    counts: dict[str, int] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)


def judged(outcome: Floats, probability: Floats, fits: int, counts: dict[str, int] | None = None, story: list[str] | None = None) -> Played:
    """The figures of (n,) answers."""
    right = (probability >= 0.5) == (outcome > 0.5)
    loss = losses(outcome, np.clip(probability, 1.0 - _SUREST, _SUREST)).mean()
    return Played(len(outcome), float(right.mean()), float(loss), fits, counts or {}, story or [])


def first_model(year: Year) -> tuple[Scorer, TrainingSet]:
    """What everybody begins with: fitted on all that was known at the start."""
    rows = year.mature(year.start_ms)
    return Scorer(year.model, fit_all(year.model, rows)), rows


def static(year: Year) -> Played:
    """The first model for ever."""
    live = Prequential(year)
    live.serve(first_model(year)[0], year.start_ms - 1)
    return judged(live.rows.outcome, live.probability, 1)


def periodic(year: Year, how: Periodic) -> Played:
    """Fitted anew at fixed times on the newest rows, and served whatever it is worth."""
    live = Prequential(year)
    live.serve(first_model(year)[0], year.start_ms - 1)
    fits = 1
    for now_ms in range(year.start_ms + how.every_ms, live.last_ms, how.every_ms):
        live.serve(Scorer(year.model, fit_all(year.model, _newest(year.mature(now_ms), how.rows))), now_ms)
        fits += 1
    return judged(live.rows.outcome, live.probability, fits)


def adwin(year: Year, watch: Watch) -> Played:
    """When `watch` says that the errors of what serves have changed, a model is fitted on the window since, once that has 1,000 rows.

    Each model has a detector of its own, told of the model's own predictions alone: fed with all errors it would take the late labels of
    the model before for a change.
    """
    live = Prequential(year)
    version, fits, alarms = live.serve(first_model(year)[0], year.start_ms - 1), 1, 0
    story: list[str] = []
    while True:
        told = live.told(0, live.last_ms)
        mine = told[live.version[told] == version]
        found = watch(((live.probability[mine] >= 0.5) != (live.rows.outcome[mine] > 0.5)).astype(np.float64))
        if found is None:
            return judged(live.rows.outcome, live.probability, fits, {"alarms": alarms}, story)
        label, width = found
        alarms += 1
        later = told[np.searchsorted(live.known_at_ms[told], live.known_at_ms[mine[label]]) :]
        waited = max(0, LEAST_ROWS - width)
        if waited >= len(later):
            return judged(live.rows.outcome, live.probability, fits, {"alarms": alarms}, story)
        now_ms = int(live.known_at_ms[later[waited]])
        mature = year.mature(now_ms)
        rows = _newest(mature, max(width, LEAST_ROWS))
        if len(np.unique(rows.outcome)) < 2:
            return judged(live.rows.outcome, live.probability, fits, {"alarms": alarms}, story)
        estimator, n_rows = _fitted(year, mature, len(rows))
        story.append(f"row {np.searchsorted(live.rows.at_ms, now_ms)}: fitted on {n_rows} rows")
        version, fits = live.serve(Scorer(year.model, estimator), now_ms), fits + 1


def _fitted(year: Year, mature: TrainingSet, wanted: int) -> tuple[Any, int]:
    """Fitted on the newest rows, and how many; on more where the estimator refuses them, as some do if a column is missing throughout."""
    while True:
        try:
            return fit_all(year.model, _newest(mature, wanted)), min(wanted, len(mature))
        except ValueError:
            if wanted >= len(mature):
                raise
            wanted *= 2


def _newest(rows: TrainingSet, wanted: int | None) -> TrainingSet:
    return rows if wanted is None else rows.rows(np.arange(len(rows)) >= len(rows) - wanted)
