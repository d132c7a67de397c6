"""Probation: is a new champion worse than the one before it, on what it was really asked?

Both are held against the same labelled predictions: the new one by what it said, the one before by what it would have said of the very
vectors that were served. Where it cannot read those, as the features have changed with the version, its own last labels stand in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.kernels import Floats
from tidemill.learning import Model, vectors_of
from tidemill.loop import Comparison, compare
from tidemill.project import Workspace
from tidemill.registry.challenging import measure_latency
from tidemill.registry.known_outcomes import silence_counts
from tidemill.registry.registry import Registry
from tidemill.stores import Answer, AnswerKind, Class, Served
from tidemill.stores.answer import class_of, in_class_order

MOST_ROWS = 20_000


@dataclass(frozen=True)
class Labelled:
    """What a version was asked and what came of it: n served rows, (n,) outcomes, what it said, and what outcomes are places of."""

    served: Served
    outcome: Floats
    said: Floats
    classes: tuple[Class, ...] = ()

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
    """The last prediction of each key that a version was asked since a time and that has an outcome; the newest 20,000 at most.

    Where silence means something, those for which `within` is over.
    """
    served = workspace.predictions.served(model.name, from_ms=max(1, from_ms))
    mine = np.flatnonzero(served.versions == version)[-MOST_ROWS:]
    last = {served.keys[row]: int(row) for row in mine}
    found: dict[int, float | str] = {}
    for outcome in workspace.state.newest_outcomes(model.name, 4 * MOST_ROWS):
        row = last.get(outcome.key)
        if row is not None and 0 < outcome.known_at_ms - int(served.at_ms[row]) <= model.label.within_ms:
            found[row] = outcome.value
    if silence_counts(model):
        over_ms = workspace.now_ms() - model.label.within_ms
        found = {row: found.get(row, model.label.absent) for row in last.values() if served.at_ms[row] < over_ms}
    rows = np.array(sorted(found), dtype=np.int64)
    kept = served.rows(rows)
    scores = {one.prediction_id: one.answer for one in workspace.predictions.scores(model.name, kept.keys) if one.version == version}
    answers = [scores.get(number, Answer()) for number in kept.ids.tolist()]
    return Labelled(kept, *_arrays(model.objective.kind, answers, [found[row] for row in rows.tolist()]))


def _arrays(kind: AnswerKind, answers: Sequence[Answer], told: Sequence[float | str]) -> tuple[Floats, Floats, tuple[Class, ...]]:
    """(n,) outcomes, what was said in the columns of one list of classes, and that list; NaN where nothing of this kind was said."""
    if kind != "probabilities":
        said = [one.probability if kind == "probability" else one.value for one in answers]
        return np.array(told, dtype=np.float64), np.array([np.nan if one is None else one for one in said], dtype=np.float64), ()
    shares = [one.probabilities or {} for one in answers]
    classes = in_class_order({*map(class_of, told), *(name for one in shares for name in one)})
    outcome = np.array([classes.index(class_of(one)) for one in told], dtype=np.float64)
    return outcome, np.array([[one.get(name, 0.0) for name in classes] for one in shares], dtype=np.float64), classes


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
    broken = int((~np.isfinite(rows.said.reshape(len(rows), -1)).all(axis=1)).sum())
    if broken:
        return Probation(len(rows), None, None, None, f"{broken} of {len(rows)} answers were no numbers")
    name = workspace.project.registered_name(model.name)
    columns = vectors_of(model, rows.served)
    previous = registry.open(registry.load(name, before), model.columns)
    try:
        theirs = previous.score(columns, rows.classes)
    except KeyError:  # a column that this vector no longer has
        return _unpaired(workspace, model, (before, since_ms), rows)
    losses = model.objective.losses
    loss = compare(losses(rows.outcome, theirs), losses(rows.outcome, rows.said), rows.served.at_ms)
    errors = None
    if model.objective.kind != "value":
        errors = compare(_wrong(rows.outcome, theirs), _wrong(rows.outcome, rows.said), rows.served.at_ms)
    latency = measure_latency((previous, registry.open(registry.load(name, now), model.columns)), columns, model)
    return judge_probation(model, len(rows), loss, errors, (latency[0], latency[1]))


def judge_probation(
    model: Model, n_labels: int, loss: Comparison, errors: Comparison | None, latency_ms: tuple[float, float] | None
) -> Probation:
    """What speaks against a new champion, if anything: its loss, its wrong predictions, its latency, in this order."""
    policy, against = model.policy, ""
    for what, one in ((model.objective.metric, loss), ("error rate", errors)):
        if one is not None and not against and _surely_worse(one, policy.probation_z):
            figures = f"{one.challenger:.5f} against {one.champion:.5f} of the version before on {one.n_rows} labels"
            against = f"its {what} is {figures}, worse by more than {policy.probation_z:g} standard errors of {one.se:.5f}"
    if not against and latency_ms is not None and latency_ms[1] > max(0.5, policy.latency_factor * latency_ms[0]):
        against = f"it takes {latency_ms[1]:.3f} ms a row, the version before {latency_ms[0]:.3f}"
    return Probation(n_labels, loss, errors, latency_ms, against)


def _surely_worse(one: Comparison, z: float) -> bool:
    return one.se is not None and one.gain + z * one.se < 0


def _wrong(outcome: npt.NDArray[np.float64], said: npt.NDArray[np.float64]) -> Floats:
    foremost = said.argmax(axis=1) if said.ndim == 2 else said >= 0.5
    return np.asarray(foremost != outcome, dtype=np.float64)


def _unpaired(workspace: Workspace, model: Model, previous: tuple[int, int], rows: Labelled) -> Probation:
    """Against the labels that the version before had for itself, as long before the promotion as the new one has served since."""
    version, since_ms = previous
    span_ms = int(rows.served.at_ms[-1]) - since_ms
    theirs = labelled(workspace, model, version, since_ms - max(span_ms, model.policy.probation_ms or 0))
    if not len(theirs):
        return Probation(len(rows), None, None, None, "")
    mine = model.objective.losses(rows.outcome, rows.said)
    other = model.objective.losses(theirs.outcome, theirs.said)
    ours, before = compare(mine, np.zeros_like(mine), rows.served.at_ms), compare(other, np.zeros_like(other), theirs.served.at_ms)
    se = None if ours.se is None or before.se is None else math.hypot(ours.se, before.se)
    loss = Comparison(before.champion, ours.champion, before.champion - ours.champion, se, len(rows), ours.n_blocks)
    return judge_probation(model, len(rows), loss, None, None)
