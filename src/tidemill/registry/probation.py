"""Probation: is a new champion worse than the one before it, on what it was really asked?

Both are held against the same labelled predictions: the new one by what it said, the one before by what it would have said of the very
vectors that were served. Where it cannot read those, as the features have changed with the version, its own last labels stand in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.kernels import Floats
from tidemill.learning import Model, OnnxModel, losses, vectors_of
from tidemill.loop import Comparison, compare
from tidemill.project import Workspace
from tidemill.registry.challenging import measure_latency
from tidemill.registry.registry import Registry
from tidemill.stores import Served

MOST_ROWS = 20_000


@dataclass(frozen=True)
class Labelled:
    """What a version was asked and what came of it: n served rows, (n,) outcomes, (n,) what it said."""

    served: Served
    outcome: Floats
    said: Floats

    def __len__(self) -> int:
        """How many rows."""
        return len(self.outcome)


@dataclass(frozen=True)
class Probation:
    """How a new champion did.

    Args:
        n_labels: of its predictions.
        loss: both losses, the previous one's as the champion's of the comparison; None without rows.
        errors: the same of wrong predictions.
        latency_ms: ms a row of the previous one and of the new one; None where the previous one cannot be asked.
        against: why it is rolled back; empty when it stays.
    """

    n_labels: int
    loss: Comparison | None
    errors: Comparison | None
    latency_ms: tuple[float, ...] | None
    against: str

    @property
    def findings(self) -> dict[str, Any]:
        """As JSON, for the audit."""
        told: dict[str, Any] = {"labels": self.n_labels, "latency_ms": self.latency_ms, "against": self.against}
        for name, one in (("loss", self.loss), ("error_rate", self.errors)):
            if one is not None:
                told[name] = {"previous": one.champion, "new": one.challenger, "gain": one.gain, "interval": one.interval()}
        return told


def labelled(workspace: Workspace, model: Model, version: int, from_ms: int) -> Labelled:
    """The last prediction of each key that a version was asked since a time and that has an outcome; the newest 20,000 at most."""
    served = workspace.predictions.served(model.name, from_ms=max(1, from_ms))
    mine = np.flatnonzero(served.versions == version)[-MOST_ROWS:]
    last = {served.keys[row]: int(row) for row in mine}
    found: dict[int, float] = {}
    for outcome in workspace.state.newest_outcomes(model.name, 4 * MOST_ROWS):
        row = last.get(outcome.key)
        if row is not None and 0 < outcome.known_at_ms - int(served.at_ms[row]) <= model.label.within_ms:
            found[row] = outcome.value
    rows = np.array(sorted(found), dtype=np.int64)
    kept = served.rows(rows)
    scores = {one.prediction_id: one.probability for one in workspace.predictions.scores(model.name, kept.keys) if one.version == version}
    said = np.array([scores.get(number, float("nan")) for number in kept.ids.tolist()])
    return Labelled(kept, np.array([found[row] for row in rows.tolist()]), said)


def examine(workspace: Workspace, registry: Registry, model: Model, versions: tuple[int, int], since_ms: int) -> Probation:
    """Hold a new champion against the one before it.

    Args:
        workspace: of the project.
        registry: of its models.
        model: whose champions.
        versions: the previous champion and the new one.
        since_ms: when the new one began to serve.
    """
    before, now = versions
    rows = labelled(workspace, model, now, since_ms)
    if not len(rows):
        return Probation(0, None, None, None, "")
    broken = int((~np.isfinite(rows.said)).sum())
    if broken:
        return Probation(len(rows), None, None, None, f"{broken} of {len(rows)} answers were no numbers")
    name = workspace.project.registered_name(model.name)
    columns = vectors_of(model, rows.served)
    previous = OnnxModel(registry.load(name, before).onnx, model.columns)
    try:
        theirs = previous.score(columns)
    except KeyError:  # a column that this vector no longer has
        return _unpaired(workspace, model, (before, since_ms), rows)
    loss = compare(losses(rows.outcome, theirs), losses(rows.outcome, rows.said), rows.served.at_ms)
    errors = compare(_wrong(rows.outcome, theirs), _wrong(rows.outcome, rows.said), rows.served.at_ms)
    latency = measure_latency((previous, OnnxModel(registry.load(name, now).onnx, model.columns)), columns, model)
    return judge_probation(model, len(rows), loss, errors, (latency[0], latency[1]))


def judge_probation(
    model: Model, n_labels: int, loss: Comparison, errors: Comparison | None, latency_ms: tuple[float, float] | None
) -> Probation:
    """What speaks against a new champion, if anything: its loss, its wrong predictions, its latency, in this order."""
    policy, against = model.policy, ""
    for what, one in ((model.metric, loss), ("error rate", errors)):
        if one is not None and not against and _surely_worse(one, policy.probation_z):
            figures = f"{one.challenger:.5f} against {one.champion:.5f} of the version before on {one.n_rows} labels"
            against = f"its {what} is {figures}, worse by more than {policy.probation_z:g} standard errors of {one.se:.5f}"
    if not against and latency_ms is not None and latency_ms[1] > max(0.5, policy.latency_factor * latency_ms[0]):
        against = f"it takes {latency_ms[1]:.3f} ms a row, the version before {latency_ms[0]:.3f}"
    return Probation(n_labels, loss, errors, latency_ms, against)


def _surely_worse(one: Comparison, z: float) -> bool:
    return one.se is not None and one.gain + z * one.se < 0


def _wrong(outcome: npt.NDArray[np.float64], said: npt.NDArray[np.float64]) -> Floats:
    return np.asarray((said >= 0.5) != (outcome > 0.5), dtype=np.float64)


def _unpaired(workspace: Workspace, model: Model, previous: tuple[int, int], rows: Labelled) -> Probation:
    """Against the labels that the version before had for itself, as long before the promotion as the new one has served since."""
    version, since_ms = previous
    span_ms = int(rows.served.at_ms[-1]) - since_ms
    theirs = labelled(workspace, model, version, since_ms - max(span_ms, model.policy.probation_ms or 0))
    if not len(theirs):
        return Probation(len(rows), None, None, None, "")
    mine = losses(rows.outcome, rows.said)
    other = losses(theirs.outcome, theirs.said)
    ours, before = compare(mine, np.zeros_like(mine), rows.served.at_ms), compare(other, np.zeros_like(other), theirs.served.at_ms)
    se = None if ours.se is None or before.se is None else math.hypot(ours.se, before.se)
    loss = Comparison(before.champion, ours.champion, before.champion - ours.champion, se, len(rows), ours.n_blocks)
    return judge_probation(model, len(rows), loss, None, None)
