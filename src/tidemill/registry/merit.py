"""Which challenger is the best, and when no other window needs to be fitted.

```
change ──► passes, and the champion is worse than a constant answer ──► serves (the old rows mislead)
   └─────► all ──► one of the two passes ──► serves
             └───► recent ──► passes ──► serves
                        └───► rejected
```
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tidemill.kernels import Floats
from tidemill.learning import Model, auc
from tidemill.learning.objective import Objective
from tidemill.loop import GateSettings, TrialSettings, compare, judge_trial

if TYPE_CHECKING:
    from tidemill.registry.challenging import Tried

_ORDERS = 0.6  # AUC from which answers put rows in order


def trial_settings(model: Model) -> TrialSettings:
    """What a model's policy asks of a challenger."""
    policy = model.policy
    return TrialSettings(
        gate=GateSettings(metric_name=model.objective.metric, min_gain=policy.min_gain, z=policy.z),
        slice_margin=policy.slice_margin,
        slice_min_rows=policy.slice_min_rows,
        calibration_margin=policy.calibration_margin,
        latency_factor=policy.latency_factor,
    )


def by_merit(objective: Objective, tried: Sequence[Tried]) -> list[Tried]:
    """Challengers, the best first: of those that cannot be told from the one of least loss, that which has learnt from the most rows.

    The windows of one retrain differ by far more rows than their losses differ by on a few days of judging, and what was fitted on a
    fortnight alone knows nothing of the season to come. So the least loss must be less by more than a standard error to count.

    Args:
        objective: of the model.
        tried: each judged on the same rows.

    Source: Breiman, Friedman, Olshen, Stone, "Classification and Regression Trees", 1984, section 3.4.3, the rule of one standard error.
    """
    rows = tried[0].fitted.gate
    losses = [objective.losses(rows.outcome, one.fitted.said) for one in tried]
    means = [float(each.mean()) for each in losses]
    least = min(range(len(tried)), key=means.__getitem__)

    def merit(place: int) -> tuple[bool, float]:
        behind = compare(losses[place], losses[least], rows.at_ms)
        told_apart = behind.gain > (behind.se or 0.0)
        return told_apart, means[place] if told_apart else -len(tried[place].fitted.train)

    return [tried[place] for place in sorted(range(len(tried)), key=merit)]


def enough(model: Model, tried: Sequence[Tried]) -> str:
    """Why no further window needs to be fitted once these are tried; empty while another may do better.

    Windows are fitted in the order `change`, `all`, `recent`. The first of merit that passes ends it, but for one case: where `change`
    passes beside a champion that has kept some skill, what was learnt before the change is still worth something, and `all`, which
    knows both, is tried beside it. A champion that is worse than a constant answer has nothing left to teach.
    """
    best = by_merit(model.objective, tried)[0]
    if best.trial is None or not judge_trial(best.trial, trial_settings(model)).promote:
        return ""
    if len(tried) > 1 or best.window != "change":
        return f"not needed, as {best.window!r} passed"
    if best.trial.comparison.champion <= constant_loss(model.objective, best.fitted.gate.outcome, best.fitted.said):
        return ""
    return "not needed, as 'change' passed and the champion is worse than a constant answer there"


def still_orders(objective: Objective, outcome: Floats, said: Floats) -> bool:
    """Whether answers still put rows in order, however far off they are: an AUC of 0.6 or more.

    On a stormy day nearly all flights are late and a model is worse than a constant answer, yet it knows which are later than others.
    Where outcomes are numbers the AUC is that of the upper half; of several classes it is the mean of each against all others.

    >>> from tidemill.learning.classification import Binary
    >>> outcome = np.array([0.0, 1.0, 1.0, 1.0])
    >>> still_orders(Binary(), outcome, np.array([0.01, 0.02, 0.03, 0.04])), still_orders(Binary(), outcome, np.array([0.9, 0.8, 0.7, 0.6]))
    (True, False)
    """
    if objective.kind == "value":
        area = auc((outcome > np.median(outcome)).astype(np.float64), said)
    else:
        area = objective.quality(outcome, said).auc
    return area is not None and area >= _ORDERS


def constant_loss(objective: Objective, outcome: Floats, said: Floats) -> float:
    """The mean loss of `constant_answer`."""
    return float(objective.losses(outcome, constant_answer(objective, outcome, said)).mean())


def constant_answer(objective: Objective, outcome: Floats, said: Floats) -> Floats:
    """The best answer that knows nothing of a row, in the shape of `said`: the shares of the outcomes, their mean, or their median.

    Args:
        objective: of the model.
        outcome: (n,) what came true.
        said: (n,) or (n, n_classes) the answers of a model.
    """
    if said.ndim == 2:
        shares = np.bincount(outcome.astype(np.int64), minlength=said.shape[1]) / len(outcome)
        return np.tile(shares, (len(outcome), 1))
    return np.full(len(outcome), np.median(outcome) if objective.metric == "absolute_error" else outcome.mean())
