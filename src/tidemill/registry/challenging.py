"""Challengers: fitted on windows of the past, each tried beside the champion on the newest rows that neither has learnt from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from tidemill.drift import ReferenceProfile
from tidemill.errors import UnfitRowsError
from tidemill.events import Column
from tidemill.kernels import Floats
from tidemill.learning import Fitted, Model, Scorer, TrainingSet, Vectors
from tidemill.learning.candidates import Candidate, Wanted, fit_candidates
from tidemill.learning.retrain_policy import Window
from tidemill.loop import Comparison, Trial, compare, compare_slices, miscalibration
from tidemill.project import Workspace
from tidemill.registry.faults import label_fault, outcomes_of, reference_outcomes, row_fault
from tidemill.registry.merit import enough, still_orders
from tidemill.registry.named import CHAMPION
from tidemill.registry.registry import Registry
from tidemill.registry.version import Version

_TIMED_ROWS = 32
_ROUNDS = 5


@dataclass(frozen=True)
class Plan:
    """What to fit.

    Args:
        since_ms: when the world is taken to have changed; None where nothing says so.
        most: how many challengers may be fitted; None for as many as there are windows.
        windows: what may be fitted on; those of the policy by default.
        update: go on from the champion's parameters instead; see `tidemill.registry.learn_more`.
    """

    since_ms: int | None = None
    most: int | None = None
    windows: tuple[Window, ...] = ()
    update: bool = False


@dataclass(frozen=True)
class Tried:
    """One challenger, and how it did beside the champion; without a trial where there is none to stand beside, or no row to do it on."""

    window: str
    fitted: Fitted
    trial: Trial | None


@dataclass(frozen=True)
class Challenger:
    """The challengers of one retrain.

    Args:
        tried: each of them; at least one.
        champion: the version that serves; None when none does.
        since_ms: when the world is taken to have changed; None where nothing says so.
        left_out: by window, why nothing was fitted on it.
        scorer: the champion, to be held against in latency; None where there is none.
    """

    tried: tuple[Tried, ...]
    champion: int | None
    since_ms: int | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    scorer: Scorer | None = None


@dataclass(frozen=True)
class Serving:
    """The champion: its version, what it says of (n,) columns in the classes of the rows, and the time of the last row it learnt from."""

    version: int
    said: Callable[[Mapping[str, Column]], Floats]
    learnt_until_ms: int


def train(workspace: Workspace, registry: Registry, model: Model, rows: TrainingSet, plan: Plan | None = None) -> Challenger:
    """Fit a challenger on each window of the policy and try it beside the champion.

    Args:
        workspace: of the project.
        registry: where the champion is.
        model: whose.
        rows: all one may learn from.
        plan: what to fit; by default as if nothing had changed.

    Raises:
        UnfitRowsError: too few rows to fit and to judge, or rows that no model may learn from.
    """
    plan = plan or Plan()
    name = workspace.project.registered_name(model.name)
    champion = registry.alias(name, CHAMPION)
    served = None if champion is None else registry.load(name, champion)
    if served is not None and served.answers[0] != model.objective.task:
        champion, served = None, None  # it answers another question, so there is nothing to compare with
    if served is not None:
        refuse_spoilt_rows(model, rows, served)
    if served is None or champion is None:
        return challenge(model, rows, plan, None)
    scorer = registry.open(served, model.columns)
    learnt_until_ms = ReferenceProfile.from_json(served.reference).end_ms
    found = challenge(model, rows, plan, Serving(champion, partial(scorer.score, classes=rows.classes), learnt_until_ms))
    return replace(found, scorer=scorer)


def challenge(model: Model, rows: TrainingSet, plan: Plan, serving: Serving | None) -> Challenger:
    """`train` without a registry: the challengers of a plan beside what serves; the first model has nothing to stand beside.

    They are fitted one after the other, and no further one is where one has passed that none can better; see `enough`.

    Raises:
        UnfitRowsError: too few rows to fit and to judge.
    """
    tried: list[Tried] = []

    def stop(fitted: Candidate) -> str:
        trial = None if serving is None else try_unseen(model, fitted.fitted, serving.said, serving.learnt_until_ms)
        tried.append(Tried(fitted.window, fitted.fitted, trial))
        return "max_fits is used up" if plan.most is not None and len(tried) >= plan.most else enough(model, tried)

    def useful(judged: TrainingSet) -> bool:
        return serving is not None and still_orders(model.objective, judged.outcome, serving.said(judged.columns))

    left_out = fit_candidates(model, rows, Wanted(plan.since_ms, plan.windows if serving else ("all",), useful), stop)
    return Challenger(tuple(tried), serving.version if serving else None, plan.since_ms, left_out)


def refuse_spoilt_rows(model: Model, rows: TrainingSet, served: Version) -> None:
    """Look at the newest rows before anything is fitted on them.

    Raises:
        UnfitRowsError: a column is missing in all of them, or their outcomes are all one.
    """
    newest = rows.rows(rows.at_ms > rows.at_ms[-1] - model.policy.gate_ms)
    fault = row_fault(model, newest, ReferenceProfile.from_json(served.reference))
    fault = fault or label_fault(outcomes_of(rows.outcome, rows.classes), reference_outcomes(served, model))
    if fault:
        raise UnfitRowsError("BadData", f"{fault}; passes once the data is repaired")


def try_unseen(model: Model, challenger: Fitted, champion: Callable[[Mapping[str, Column]], Floats], learnt_until_ms: int) -> Trial | None:
    """A trial on the newest rows that neither has learnt from; None when there are none.

    A champion that has passed the gate has learnt from all rows of its time. Asked again within the gate's length, which only a
    person or a short cooldown does, it would be judged on some of them, and look better than it is.

    Args:
        model: whose slices they are.
        challenger: fitted on the older rows.
        champion: says of (n,) columns what `Scorer.score` does, in the classes of the rows.
        learnt_until_ms: time of the last row the champion has learnt from.
    """
    unseen = challenger.gate.at_ms > learnt_until_ms
    if not unseen.any():
        return None
    rows = challenger.gate.rows(unseen)
    said, mine, objective = champion(rows.columns), challenger.said[unseen], model.objective
    theirs_lost, mine_lost = objective.losses(rows.outcome, said), objective.losses(rows.outcome, mine)
    texts = {name: rows.columns[name].tolist() for name in model.slices}
    return Trial(
        comparison=compare(theirs_lost, mine_lost, rows.at_ms),
        slices=compare_slices(theirs_lost, mine_lost, rows.at_ms, texts, model.policy.slice_min_rows),
        calibration=None if objective.kind == "value" else _compare_calibration(rows, said, mine),
    )


def _compare_calibration(rows: TrainingSet, said: Floats, mine: Floats) -> Comparison:
    """Of the probability of 1, or of several classes of that of the most probable one."""
    champion, challenger = (miscalibration(*_confident(rows.outcome, answers)) for answers in (said, mine))
    return compare(champion, challenger, rows.at_ms)


def _confident(outcome: Floats, said: Floats) -> tuple[Floats, Floats]:
    """What came true, 0 or 1, and the probability with which it was said."""
    return (outcome, said) if said.ndim == 1 else ((said.argmax(axis=1) == outcome).astype(np.float64), said.max(axis=1))


def measure_latency(scorers: tuple[Scorer, ...], columns: Mapping[str, Column], model: Model) -> tuple[float, ...]:
    """By scorer, ms a row asked alone: the best round's median, the rounds in turns so that a busy machine is one for all.

    Args:
        scorers: of one vector.
        columns: (n,) rows to ask for, of which the first 32 are taken.
        model: whose vector it is.
    """
    n_rows = min(_TIMED_ROWS, len(next(iter(columns.values()))))
    rows = [Vectors.of({name: column[row : row + 1] for name, column in columns.items()}, model.columns) for row in range(n_rows)]
    best = [float("inf")] * len(scorers)
    for _ in range(_ROUNDS):
        for place, scorer in enumerate(scorers):
            taken_s = []
            for row in rows:
                begin_s = time.perf_counter()
                scorer.run(row)
                taken_s.append(time.perf_counter() - begin_s)
            best[place] = min(best[place], float(np.median(taken_s)) * 1_000)
    return tuple(best)
