"""Can some rows be told from others by what was asked, whatever came of it? A classifier tries, and its AUC says how well it does.

Source: Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", 2017.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from tidemill.kernels import Floats
from tidemill.learning.metrics import auc
from tidemill.learning.sampling import evenly
from tidemill.learning.training_set import TrainingSet

_FOLDS = 3
_SAMPLED = 2_000  # rows a side; more say nothing new
_MISSING = "(missing)"

Flags = npt.NDArray[np.bool_]


def told_apart(rows: TrainingSet, mine: Flags) -> float:
    """How well some rows are told from the others: an AUC, 0.5 where they cannot be told apart and 1 where each shows whose it is.

    Args:
        rows: all of them.
        mine: (n,) which; of them, and of the others, 2,000 at most are looked at, evenly over their time.

    >>> at_ms = np.arange(2_000)
    >>> asked = {"x": np.where(at_ms < 1_000, at_ms % 10, 5.0 + at_ms % 10)}
    >>> rows = TrainingSet(asked, at_ms % 2.0, at_ms, [""] * 2_000, 0, {}, 0, 0)
    >>> told_apart(rows, at_ms >= 1_000) > 0.8, told_apart(rows, at_ms % 20 < 10) < 0.6
    (True, True)
    """
    if mine.all() or not mine.any():
        return 0.5
    sides = [np.flatnonzero(side) for side in (~mine, mine)]
    looked_at = np.zeros(len(rows), dtype=np.bool_)
    looked_at[np.concatenate([side[evenly(len(side), _SAMPLED)] for side in sides])] = True
    return domain_auc(domain_table(rows.rows(looked_at).frame()), mine[looked_at])


def domain_table(rows: pd.DataFrame) -> Floats:
    """Rows as a classifier of domains reads them: (n_rows, n_columns) numbers as they are, texts by their place in the alphabet.

    What is missing or no number lies below the least of its column: a column that is missing everywhere is one value.
    """
    columns = []
    for name in rows:
        values = rows[name]
        if values.dtype.kind in "fiub":
            numbers = values.to_numpy(dtype=np.float64)
            finite = np.isfinite(numbers)
            least = float(numbers[finite].min()) if finite.any() else 0.0
            columns.append(np.where(finite, numbers, least - max(1.0, abs(least))))
        else:
            texts = values.astype(object).where(values.notna(), _MISSING).astype(str)
            columns.append(pd.factorize(texts, sort=True)[0].astype(np.float64))
    return np.column_stack(columns)


def domain_auc(table: Floats, is_mine: Flags) -> float:
    """The AUC of a classifier of (n_rows, n_columns) rows on those that it has not seen, in three folds."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # here: it takes a second to import, and few who learn need it
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    learner = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=8, learning_rate=0.2, random_state=0)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    with threadpool_limits(limits=1):  # so few rows are slower with more, where other work runs beside
        said = cross_val_predict(learner, table, is_mine, cv=folds, method="predict_proba")[:, 1]
    found = auc(is_mine.astype(np.float64), said)
    return 0.5 if found is None else found
