"""`train`: snapshot, fit, judge, export, register; the first model serves at once, a later one is a challenger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from prefect.utilities.annotations import quote

from tasks import deployment, training
from tidemill.loop import Refused
from tidemill.registry import Learnt, Plan
from tidemill.stores.decisions import Stage

T = TypeVar("T")


def learn(model: str, tags: dict[str, str], plan: Plan, reached: Callable[[Stage], None]) -> Learnt | Refused:
    """The steps that `train` and `retrain` share; call it within a flow. `reached` is told each stage."""
    rows = training.snapshot(model)
    if isinstance(rows, Refused):
        return rows
    reached("snapshot")
    challenger = training.fit(model, _whole(rows), plan)
    if isinstance(challenger, Refused):
        return challenger
    reached("fitted")
    judged = training.judge(model, _whole(challenger))
    reached("judged")
    ready = training.make_ready(model, _whole(judged), _whole(rows))
    reached("ready")
    version = training.register(model, _whole(ready), tags)
    return Learnt(version, ready.fits, judged.judgement, ready.refit)


def _whole(value: T) -> T:
    """Handed to a task as it is; Prefect would look through every row of it for the results of other tasks, a second a call."""
    return cast(T, quote(value))


@flow(name="train")
def train(model: str) -> State:
    """Train a version by hand; it serves only when there is no champion yet. Rows that nothing should be learnt from make none."""
    first = deployment.champion(model) is None
    learnt = learn(model, {"trigger": "train"}, Plan(), lambda _stage: None)
    if isinstance(learnt, Refused):
        return Completed(name=learnt.name, message=learnt.reason)
    if first:
        deployment.deploy(model, learnt.version)
    name = "Promoted" if first else "Registered"
    return Completed(name=name, message=f"version {learnt.version}: {learnt.judgement.verdict.reason}")
