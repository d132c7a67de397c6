"""`train`: snapshot, fit, export, register; the first model serves at once, a later one is a challenger."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.deploy import deploy
from tasks import training
from tasks.deployment import champion
from tidemill.registry import Judgement


def learn(model: str, tags: dict[str, str]) -> Judgement:
    """The steps that `train` and `retrain` share; call it within a flow."""
    rows = training.snapshot(model)
    challenger = training.fit(model, rows)
    version = training.register(model, challenger, tags)
    return training.judge(model, challenger, version)


@flow(name="train")
def train(model: str) -> State:
    """Train a version by hand; it serves only when there is no champion yet."""
    first = champion(model) is None
    judgement = learn(model, {"trigger": "train"})
    if first:
        deploy(model, judgement.version)
    name = "Promoted" if first else "Registered"
    return Completed(name=name, message=f"version {judgement.version}: {judgement.verdict.reason}")
