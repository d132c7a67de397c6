"""The estimate of a model of a number: its MAE and RMSE before the labels, from what is known when it answers.

A number says nothing of its own uncertainty, as a probability does. So how far off answers are is learnt too, from rows that the model
had not seen: as a function of the answer and of the columns it leans on most; see `ErrorTree`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tidemill.drift.error_sums import ErrorSums
from tidemill.drift.error_tree import ANSWER, FARTHEST, LEAF_ROWS, ErrorTree
from tidemill.drift.estimate import LEAST_ROWS, LEAST_WINDOWS, QualityReference, spread_of
from tidemill.drift.statistics import Floats
from tidemill.events import Column
from tidemill.learning.measured import Measured, measure_values

_FIT_ROWS = 2 * LEAF_ROWS
_MOST_TREES = 10  # of more windows, neighbours are held back together


def profile_errors(
    outcome: Floats, said: Floats, columns: Mapping[str, Column], at_ms: npt.NDArray[np.int64], length_ms: int
) -> QualityReference | None:
    """The reference of rows that the model has not learnt from; None where they are too few to tell.

    Args:
        outcome: (n,) what came true.
        said: (n,) what was answered.
        columns: (n,) the columns to tell errors apart by; numbers with NaN for missing, or texts as objects with None.
        at_ms: (n,) stream time of each row.
        length_ms: of a window.

    >>> from tidemill.clock import DAY_MS
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.choice([1.0, 3.0], 7_000)
    >>> outcome, day = noise * rng.normal(size=7_000), np.arange(7_000) // 1_000
    >>> found = profile_errors(outcome, np.zeros(7_000), {"noise": noise}, day * DAY_MS, DAY_MS)
    >>> calm = estimate_errors([(found.errors.expect({"(answer)": np.zeros(900), "noise": np.ones(900)}), found)])
    >>> round(calm.figures["mae"].value, 1), round(found.values["mae"], 1), found.n_windows
    (0.8, 1.6, 7)
    """
    if len(outcome) < _FIT_ROWS:
        return None
    off, known = np.clip(outcome - said, -FARTHEST, FARTHEST), {ANSWER: said, **columns}
    gaps = _gaps(off, known, at_ms // length_ms)
    enough = len(gaps) >= LEAST_WINDOWS
    figures = measure_values(off, np.zeros(len(off))).figures
    return QualityReference(
        calibrator=None,
        values={name: figure.value for name, figure in figures.items()},
        spread={name: spread_of([gap[name] for gap in gaps]) for name in figures} if enough else {},
        n_windows=len(gaps),
        window_ms=length_ms,
        errors=ErrorTree.fit(off, known),
    )


def estimate_errors(parts: Sequence[tuple[ErrorSums, QualityReference]]) -> Measured:
    """MAE and RMSE to be expected of answers, each with its interval: the errors of each version's rows, with its reference.

    The spread is that of the version that answered most.
    """
    if not parts:
        return Measured()
    together = ErrorSums.together([sums for sums, _ in parts])
    _, most = max(parts, key=lambda part: part[0].n)
    return Measured(together.n, {name: most.interval(name, expected) for name, expected in together.expected().items()})


def _gaps(off: Floats, columns: Mapping[str, Column], window: npt.NDArray[np.int64]) -> list[dict[str, tuple[float, float]]]:
    """Of each window of enough rows, by metric: real value and luck as shares of the estimate, the first less 1; by the others' tree."""
    gaps = []
    for some in np.array_split(np.unique(window), _MOST_TREES):
        others = ~np.isin(window, some)
        if others.sum() < _FIT_ROWS:
            continue
        tree = ErrorTree.fit(off[others], {name: column[others] for name, column in columns.items()})
        for one in some:
            here = window == one
            if here.sum() < LEAST_ROWS:
                continue
            expected = tree.expect({name: column[here] for name, column in columns.items()}).expected()
            real = measure_values(off[here], np.zeros(int(here.sum()))).figures
            if all(each.value > 0.0 for each in expected.values()):  # a model that is never off has nothing that could differ
                gaps.append({name: (real[name].value / each.value - 1.0, each.luck / each.value) for name, each in expected.items()})
    return gaps
