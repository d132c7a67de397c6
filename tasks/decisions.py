"""Tasks of a decision: open, claim, admit, mark, end."""

from __future__ import annotations

from contextlib import AbstractContextManager

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.context import opened
from tidemill import registry
from tidemill.clock import wall_ms
from tidemill.loop import Admitted, Refused
from tidemill.registry import Asker, Learnt, Plan
from tidemill.stores import Decision
from tidemill.stores.decisions import Outcome, Stage


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def open_retrain(model: str, decision_id: str, reason: str, asker: Asker) -> Decision:
    """The decision of that id, or one by hand, or with a key one of a flow upstream."""
    context = opened()
    if decision_id:
        return context.workspace.decisions.get(decision_id)
    return registry.request_retrain(context.workspace, context.model(model), reason, asker)


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def open_update(model: str, decision_id: str, asker: Asker) -> Decision:
    """The decision of that id, or one by hand."""
    context = opened()
    if decision_id:
        return context.workspace.decisions.get(decision_id)
    return registry.request_update(context.workspace, context.model(model), asker)


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def open_promotion(model: str, version: int, decision_id: str, asker: Asker) -> Decision:
    """The decision of that id, or a new one by hand."""
    context = opened()
    if decision_id:
        return context.workspace.decisions.get(decision_id)
    return registry.request_promotion(context.workspace, context.registry, context.model(model), version, asker)


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def open_rollback(model: str, decision_id: str, asker: Asker) -> Decision:
    """The decision of that id, or a new one by hand."""
    context = opened()
    if decision_id:
        return context.workspace.decisions.get(decision_id)
    return registry.request_rollback(context.workspace, context.registry, context.model(model), asker)


@task(cache_policy=NO_CACHE, persist_result=False)
def claim(decision: Decision, run_id: str) -> bool:
    """Take the decision for this run; False when another run has it."""
    return opened().workspace.decisions.claim(decision.id, run_id, wall_ms())


def holding(decision: Decision, run_id: str) -> AbstractContextManager[None]:
    """Keep hold of a claimed decision while the block runs, as no task of its own; see `tidemill.registry.holding`."""
    context = opened()
    return registry.holding(context.workspace.decisions, decision.id, run_id, context.settings.loop.lease_s)


@task(cache_policy=NO_CACHE, persist_result=False)
def begun(model: str, decision: Decision) -> Learnt | None:
    """What an earlier run of it had registered; see `tidemill.registry.resume`."""
    context = opened()
    return registry.resume(context.workspace, context.registry, context.model(model), decision)


@task(cache_policy=NO_CACHE, persist_result=False)
def admit(model: str, decision: Decision, run_id: str) -> Admitted | Refused:
    """May it go on? See `tidemill.registry.guard`."""
    context = opened()
    return registry.guard(context.workspace, context.registry, context.model(model), decision, run_id)


@task(cache_policy=NO_CACHE, persist_result=False)
def plan(model: str, decision: Decision) -> Plan:
    """What to fit; see `tidemill.registry.plan_of`."""
    context = opened()
    return registry.plan_of(context.workspace, context.model(model), decision)


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def mark(decision: Decision, run_id: str, stage: Stage) -> None:
    """Write down that a stage is reached; see `tidemill.registry.mark`."""
    registry.mark(opened().workspace, decision, run_id, stage)


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def keep_learnt(model: str, decision: Decision, run_id: str, learnt: Learnt) -> None:
    """Write down what was registered; see `tidemill.registry.keep_learnt`."""
    context = opened()
    registry.keep_learnt(context.workspace, context.registry, context.model(model), (decision, run_id), learnt)


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def finish(model: str, decision: Decision, run_id: str, learnt: Learnt) -> None:
    """Write what came of it; see `tidemill.registry.finish`."""
    context = opened()
    registry.finish(context.workspace, context.model(model), decision, run_id, learnt)


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def end(decision: Decision, run_id: str, outcome: Outcome, reason: str) -> None:
    """End a decision that changed nothing."""
    registry.end(opened().workspace, decision, run_id, outcome, reason)


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def put_back(decision: Decision, run_id: str) -> bool:
    """Give it back, because a server is away."""
    return registry.put_back(opened().workspace, decision, run_id)
