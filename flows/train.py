"""`train`: snapshot, fit, judge, export, register; the first model serves at once, a later one is a challenger."""

from __future__ import annotations

from typing import TypeVar, cast

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from prefect.utilities.annotations import quote

from flows.deploy import deploy
from tasks import training
from tasks.deployment import champion
from tidemill.registry import Learnt

T = TypeVar("T")


def learn(model: str, tags: dict[str, str]) -> Learnt:
    """The steps that `train` and `retrain` share; call it within a flow."""
    rows = training.snapshot(model)
    challenger = training.fit(model, _whole(rows))
    judgement = training.judge(model, _whole(challenger))
    ready = training.make_ready(model, _whole(challenger), _whole(rows), promoted=judgement.verdict.promote)
    version = training.register(model, _whole(ready), tags)
    return Learnt(version, ready.fitted.fits, judgement)


def _whole(value: T) -> T:
    """Handed to a task as it is; Prefect would look through every row of it for the results of other tasks, a second a call."""
    return cast(T, quote(value))


@flow(name="train")
def train(model: str) -> State:
    """Train a version by hand; it serves only when there is no champion yet."""
    first = champion(model) is None
    learnt = learn(model, {"trigger": "train"})
    if first:
        deploy(model, learnt.version)
    name = "Promoted" if first else "Registered"
    return Completed(name=name, message=f"version {learnt.version}: {learnt.judgement.verdict.reason}")
