"""Quality by slice: the rows of one value of a text column, such as one airport, summed by window."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tidemill.errors import ProjectError
from tidemill.events import FieldKind
from tidemill.kernels import Floats
from tidemill.learning.intervals import Interval, mean_of_blocks

MISSING, OTHER = "(missing)", "(other)"
MOST_VALUES = 50  # of a column; the rarer ones are taken together


@dataclass(frozen=True, slots=True)
class SliceSums:
    """What one window says of one slice; sums, so that windows add up.

    Args:
        column: the text column.
        value: its value, or `(missing)`, or `(other)`.
        n: labelled rows.
        n_right: rows whose most probable class came true; NaN of a number.
        loss: the sum of the rows' losses.
        expected: the sum of the losses that were to be expected; NaN where a version has no reference to tell.
    """

    column: str
    value: str
    n: int
    n_right: float
    loss: float
    expected: float


@dataclass(frozen=True)
class SliceQuality:
    """One slice over many windows.

    `hard` says that its loss is above that of all rows, `worse` that it is above what was to be expected of this slice; both only where
    the whole 95 % interval is.
    """

    column: str
    value: str
    n: int
    accuracy: float | None
    loss: Interval
    expected: float | None
    hard: bool
    worse: bool


@dataclass(frozen=True)
class SlicedRows:
    """(n,) labelled rows to be sliced: the texts of each column, whether the prediction was right, its loss, the loss to be expected."""

    texts: Mapping[str, Sequence[str | None]]
    right: Floats
    loss: Floats
    expected: Floats


def check_slices(slices: Sequence[str], columns: Mapping[str, FieldKind], where: str) -> None:
    """Refuse slices that are not text columns of the vector.

    Raises:
        ProjectError: names the text columns there are.
    """
    texts = [name for name, kind in columns.items() if kind == "text"]
    for name in slices:
        if name not in texts:
            fix = f"choose of {', '.join(texts)}" if texts else "the model reads no text"
            raise ProjectError(f"slice {name!r} is not a text column that the model reads", where=where, fix=fix)


def sum_slices(rows: SlicedRows) -> tuple[SliceSums, ...]:
    """The slices of one window, the largest of each column first.

    >>> rows = SlicedRows({"port": ["a", "b", "a", None]}, *np.array([[1.0, 1, 0, 1], [0.1, 0.2, 0.9, 0.4], [0.3, 0.3, 0.3, 0.3]]))
    >>> [(one.value, one.n, one.n_right, one.loss) for one in sum_slices(rows)]
    [('a', 2, 1.0, 1.0), ('(missing)', 1, 1.0, 0.4), ('b', 1, 1.0, 0.2)]
    """
    return tuple(one for column, texts in rows.texts.items() for one in _sum_column(column, texts, rows))


def slice_quality(windows: Iterable[Sequence[SliceSums]]) -> list[SliceQuality]:
    """The slices over all windows: those worse than expected first, then by how surely they are bad.

    The interval takes the windows as blocks that share their luck; see `mean_of_blocks`.
    """
    found: dict[tuple[str, str], list[SliceSums]] = {}
    for window in windows:
        for one in window:
            found.setdefault((one.column, one.value), []).append(one)
    of_all = {column: _mean([one for (own, _), parts in found.items() if own == column for one in parts]) for column, _ in found}
    judged = [_judge(parts, of_all[column]) for (column, _), parts in found.items()]
    return sorted(judged, key=lambda one: (not one.worse, not one.hard, -_floor(one.loss), one.column, one.value))


def _sum_column(column: str, texts: Sequence[str | None], rows: SlicedRows) -> list[SliceSums]:
    named = [MISSING if text is None else text for text in texts]
    kept = {value for value, _ in Counter(named).most_common(MOST_VALUES)}
    values = [value if value in kept else OTHER for value in named]
    places = {value: place for place, value in enumerate(sorted(set(values)))}
    codes = np.array([places[value] for value in values], dtype=np.int64)
    n, right, loss, expected = (np.bincount(codes, weights, len(places)) for weights in (None, rows.right, rows.loss, rows.expected))
    sums = [SliceSums(column, value, int(n[at]), float(right[at]), float(loss[at]), float(expected[at])) for value, at in places.items()]
    return sorted(sums, key=lambda one: (-one.n, one.value))


def _mean(parts: Sequence[SliceSums]) -> float:
    return sum(one.loss for one in parts) / sum(one.n for one in parts)


def _judge(parts: Sequence[SliceSums], of_all: float) -> SliceQuality:
    sizes = np.array([one.n for one in parts], dtype=np.float64)
    loss = mean_of_blocks(sizes, np.array([one.loss for one in parts]) / sizes, (0.0, math.inf))
    n = int(sizes.sum())
    expected = sum(one.expected for one in parts) / n
    right = sum(one.n_right for one in parts) / n
    known = None if np.isnan(expected) else expected
    return SliceQuality(
        column=parts[0].column,
        value=parts[0].value,
        n=n,
        accuracy=None if np.isnan(right) else right,
        loss=loss,
        expected=known,
        hard=loss.low is not None and loss.low > of_all,
        worse=loss.low is not None and known is not None and loss.low > known,
    )


def _floor(loss: Interval) -> float:
    return loss.low if loss.low is not None else 0.0
