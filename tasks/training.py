"""Tasks of a training: snapshot, fit, judge, make ready, register."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.context import opened
from tidemill import registry
from tidemill.learning import Limits, TrainingSet
from tidemill.loop import Refused, unless_unfit
from tidemill.registry import Challenger, Judged, Plan, Ready


@task(retries=2, retry_delay_seconds=[1, 5], cache_policy=NO_CACHE, persist_result=False)
def snapshot(model: str) -> TrainingSet | Refused:
    """The training set as of now; see `tidemill.registry.snapshot`."""
    context = opened()
    learning = context.settings.learning
    limits = Limits(learning.memory_mb, learning.threads, context.workspace.home / "cache" / "spill")
    return unless_unfit(lambda: registry.snapshot(context.workspace, context.model(model), limits))


@task(cache_policy=NO_CACHE, persist_result=False)
def fit(model: str, rows: TrainingSet, plan: Plan) -> Challenger | Refused:
    """Fit and compare; see `tidemill.registry.train`, and for an update `tidemill.registry.learn_more`."""
    context = opened()
    of = (context.workspace, context.registry, context.model(model), rows)
    return unless_unfit(lambda: registry.learn_more(*of) if plan.update else registry.train(*of, plan))


@task(cache_policy=NO_CACHE, persist_result=False)
def judge(model: str, challenger: Challenger) -> Judged:
    """Which may serve? See `tidemill.registry.gate`."""
    return registry.gate(opened().model(model), challenger)


@task(cache_policy=NO_CACHE, persist_result=False)
def make_ready(model: str, judged: Judged, rows: TrainingSet) -> Ready:
    """Fit what may serve again with the newest rows, and export; see `tidemill.registry.make_ready`."""
    return registry.make_ready(opened().model(model), judged, rows)


@task(retries=2, retry_delay_seconds=[1, 5], cache_policy=NO_CACHE, persist_result=False)
def register(model: str, ready: Ready, tags: dict[str, str]) -> int:
    """Log and register; see `tidemill.registry.register`."""
    context = opened()
    return registry.register(context.workspace, context.registry, context.model(model), ready, tags)
