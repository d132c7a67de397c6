"""Why a model said what it said: by how much each column moved an answer away from that of a typical row.

```
 column i of row x, typical row b, answer f        its contribution is the mean of what it moves
   f(x) - f(x with b_i)                              as the last column that is told, and
   f(b with x_i) - f(b)                              as the first
```
The contributions of a model that adds up its columns (a linear one on encoded columns, whatever the encoding) are exact: coefficient times
distance from the typical value. Where columns act in pairs they are the Shapley values of the row against the typical one, as of a pair's
joint effect each gets a half. What three or more columns do only together is told as `unexplained`. A row costs 2 n_columns + 1
vectors, all scored in one run of ONNX Runtime; nothing but the served model is asked.

Source: Sundararajan and Najmi, "The Many Shapley Values for Model Explanation", ICML 2020 (one typical row as the baseline);
Covert and Lee, "Improving KernelSHAP", AISTATS 2021 (a coalition and its complement make pairs exact).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tidemill.events import Column, FieldKind
from tidemill.kernels import Floats
from tidemill.learning.scorer import Scorer
from tidemill.learning.task import Task
from tidemill.learning.vectors import Vectors
from tidemill.stores import Class

Scale = Literal["log_odds", "log_share", "value"]

_SCALES: dict[Task, Scale] = {"binary": "log_odds", "multiclass": "log_share", "regression": "value"}
_LEAST = 1e-7  # float32 tells no probability nearer to 0 or 1
_VECTORS_A_RUN = 20_000


@dataclass(frozen=True, slots=True)
class Explanation:
    """One answer, taken apart: `typical + sum(contributions) + unexplained == said`.

    Args:
        scale: what is added up: log odds of 1; the log of the class's probability less the mean log over all classes; or the value itself.
        typical: what the model says of the typical row, on that scale.
        said: what it said of this one.
        contributions: by column, the farthest from 0 first.
        unexplained: what three or more columns do only together.
        of: the most probable class, which is explained; None where there are no classes.
    """

    scale: Scale
    typical: float
    said: float
    contributions: Mapping[str, float]
    unexplained: float
    of: Class | None = None

    def fields(self) -> dict[str, object]:
        """As JSON shows it."""
        told: dict[str, object] = {} if self.of is None else {"of": self.of}
        rest = ("scale", "typical", "said", "contributions", "unexplained")
        return told | {name: getattr(self, name) for name in rest}


def explain(
    scorer: Scorer, kinds: Mapping[str, FieldKind], columns: Mapping[str, Column], typical: Mapping[str, object]
) -> list[Explanation]:
    """What moved the answer to each of n vectors.

    Args:
        scorer: the version that answered.
        kinds: the vector's columns and kinds, in order.
        columns: (n,) columns as `Model.assemble` makes them.
        typical: one value of each column, None or NaN for missing.
    """
    n_rows = len(next(iter(columns.values()))) if columns else 0
    a_run = max(1, _VECTORS_A_RUN // (2 * len(kinds) + 1))
    return [
        one
        for begin in range(0, n_rows, a_run)
        for one in _explain(scorer, kinds, {name: columns[name][begin : begin + a_run] for name in kinds}, typical)
    ]


def typical_columns(kinds: Mapping[str, FieldKind], typical: Mapping[str, object], n_rows: int = 1) -> dict[str, Column]:
    """(n,) columns of the typical row, over and over.

    >>> typical_columns({"size": "number", "shop": "text"}, {"size": 2.5, "shop": None}, 2)
    {'size': array([2.5, 2.5]), 'shop': array([None, None], dtype=object)}
    """
    return {name: _repeated(typical[name], kind, n_rows) for name, kind in kinds.items()}


def _explain(
    scorer: Scorer, kinds: Mapping[str, FieldKind], columns: Mapping[str, Column], typical: Mapping[str, object]
) -> Iterator[Explanation]:
    n_rows, width = len(next(iter(columns.values()))), len(kinds)
    mixed = {name: _mixed(columns[name], typical[name], kind, (place, width)) for place, (name, kind) in enumerate(kinds.items())}
    asked = {name: np.concatenate((_repeated(typical[name], kinds[name], 1), column)) for name, column in mixed.items()}
    said = scorer.run(Vectors.of(asked, kinds))
    foremost = said[1 :: 2 * width + 1].argmax(axis=1) if said.ndim == 2 else None
    base, rest = _scaled(scorer.task, said[:1], foremost), _scaled(scorer.task, said[1:], foremost, 2 * width + 1)
    base, told = np.broadcast_to(base, n_rows), rest.reshape(n_rows, 2 * width + 1)
    of_row, without, alone = told[:, 0], told[:, 1 : width + 1], told[:, width + 1 :]
    parts = ((of_row[:, None] - without) + (alone - base[:, None])) / 2
    for row in range(n_rows):
        order = np.argsort(-np.abs(parts[row]), kind="stable")
        names = list(kinds)
        yield Explanation(
            scale=_SCALES[scorer.task],
            typical=float(base[row]),
            said=float(of_row[row]),
            contributions={names[place]: float(parts[row, place]) for place in order},
            unexplained=float(of_row[row] - base[row] - parts[row].sum()),
            of=None if foremost is None else scorer.classes[foremost[row]],
        )


def _mixed(column: Column, typical: object, kind: FieldKind, at: tuple[int, int]) -> Column:
    """(n * (2 width + 1),) one column of each row's vectors: the row, the row without each column, each column of the row alone."""
    place, width = at
    mixed = np.empty((len(column), 2 * width + 1), dtype=object if kind == "text" else np.float64)
    mixed[:, : width + 1] = column[:, None]
    mixed[:, width + 1 :] = typical
    mixed[:, place + 1] = typical
    mixed[:, width + 1 + place] = column
    return mixed.reshape(-1)


def _repeated(value: object, kind: FieldKind, n_rows: int) -> Column:
    repeated = np.empty(n_rows, dtype=object if kind == "text" else np.float64)
    repeated[:] = value
    return repeated


def _scaled(task: Task, said: Floats, foremost: npt.NDArray[np.int64] | None, each: int = 0) -> Floats:
    """What was said on the scale that adds up; of several classes that of each row's foremost one.

    Args:
        task: of the model.
        said: as `Scorer.run` answers: of one typical row for all rows, or of `each` vectors a row.
        foremost: (n_rows,) place of the class that is explained.
        each: vectors a row; 0 for the typical row.
    """
    if task == "regression":
        return said
    if task == "binary":
        likely = np.clip(said, _LEAST, 1 - _LEAST)
        return np.asarray(np.log(likely / (1 - likely)), dtype=np.float64)
    assert foremost is not None  # of several classes one is foremost
    logs = np.log(np.clip(said, _LEAST, 1.0))
    centred = logs - logs.mean(axis=1, keepdims=True)
    if each == 0:
        return np.asarray(centred[0, foremost], dtype=np.float64)
    return np.asarray(centred[np.arange(len(centred)), np.repeat(foremost, each)], dtype=np.float64)
