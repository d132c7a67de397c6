"""Which columns a model leans on, so that drift is looked for where it can hurt."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tidemill.events import Column
from tidemill.learning.objective import Objective
from tidemill.learning.scorer import Scorer
from tidemill.learning.training_set import TrainingSet

_ROWS = 2_000


def important_columns(scorer: Scorer, rows: TrainingSet, objective: Objective, most: int = 20) -> list[str]:
    """The columns whose shuffling costs the model most, by the metric of its gate, the most important first.

    Source: Breiman, "Random Forests", 2001, section 10 (permutation importance).
    """
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(len(rows), min(_ROWS, len(rows)), replace=False))
    columns = {name: column[chosen] for name, column in rows.columns.items()}
    outcome = rows.outcome[chosen]

    def loss(of: Mapping[str, Column]) -> float:
        return float(objective.losses(outcome, scorer.score(of, rows.classes)).mean())

    usual = loss(columns)
    cost = {name: loss({**columns, name: rng.permutation(column)}) - usual for name, column in columns.items()}
    return sorted(cost, key=lambda name: (-cost[name], name))[:most]
