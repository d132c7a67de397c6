"""Tasks of a decision: open, claim, admit, end."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.context import opened
from tidemill import registry
from tidemill.clock import wall_ms
from tidemill.loop import Admitted, Refused
from tidemill.registry import Learnt
from tidemill.stores import Decision


@task(cache_policy=NO_CACHE, persist_result=False)
def open_decision(model: str, decision_id: str, reason: str) -> Decision:
    """The decision of that id, or a new one by hand."""
    context = opened()
    if decision_id:
        return context.workspace.decisions.get(decision_id)
    return registry.request_by_hand(context.workspace, context.model(model), reason)


@task(cache_policy=NO_CACHE, persist_result=False)
def claim(decision: Decision, run_id: str) -> bool:
    """Take the decision for this run; False when another run has it."""
    return opened().workspace.decisions.claim(decision.id, run_id, wall_ms())


@task(cache_policy=NO_CACHE, persist_result=False)
def admit(model: str, decision: Decision) -> Admitted | Refused:
    """May it go on? See `tidemill.registry.guard`."""
    context = opened()
    return registry.guard(context.workspace, context.registry, context.model(model), decision)


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def finish(model: str, decision: Decision, run_id: str, learnt: Learnt) -> None:
    """Write what came of it; see `tidemill.registry.finish`."""
    context = opened()
    registry.finish(context.workspace, context.model(model), decision, run_id, learnt)


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE, persist_result=False)
def end(decision: Decision, run_id: str, outcome: str, reason: str) -> None:
    """End a decision that trained nothing."""
    registry.end(opened().workspace, decision, run_id, outcome, reason)
