"""Which columns a model leans on, so that drift is looked for where it can hurt."""

from __future__ import annotations

import numpy as np

from tidemill.learning.metrics import losses
from tidemill.learning.scoring import OnnxModel
from tidemill.learning.training_set import TrainingSet

_ROWS = 2_000


def important_columns(scorer: OnnxModel, rows: TrainingSet, most: int = 20) -> list[str]:
    """The columns whose shuffling costs the model most log loss, the most important first.

    Source: Breiman, "Random Forests", 2001, section 10 (permutation importance).
    """
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(len(rows), min(_ROWS, len(rows)), replace=False))
    columns = {name: column[chosen] for name, column in rows.columns.items()}
    outcome = rows.outcome[chosen]
    usual = losses(outcome, scorer.score(columns)).mean()
    cost = {
        name: float(losses(outcome, scorer.score({**columns, name: rng.permutation(column)})).mean() - usual)
        for name, column in columns.items()
    }
    return sorted(cost, key=lambda name: (-cost[name], name))[:most]
