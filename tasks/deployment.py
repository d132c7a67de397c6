"""Tasks that change what serves."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from tasks.context import opened
from tidemill import registry
from tidemill.errors import ConflictError
from tidemill.loop import Refused
from tidemill.registry import Learnt
from tidemill.stores import Decision


def _is_again(_task: object, _run: object, state: State) -> bool:
    """Whether to try once more: not where somebody has made another version the champion."""
    try:
        state.result()
    except ConflictError:
        return False
    except Exception:
        return True
    return False


@task(retries=1, retry_delay_seconds=2, retry_condition_fn=_is_again, cache_policy=NO_CACHE)
def deploy(model: str, version: int) -> dict[str, int]:
    """Move the alias and wait for the servers; see `tidemill.registry.deploy`."""
    context = opened()
    return registry.deploy(context.workspace, context.registry, context.model(model), version)


@task(retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE, persist_result=False)
def deploy_learnt(model: str, decision: Decision, run_id: str, learnt: Learnt) -> Refused | None:
    """The same for what a decision has learnt; see `tidemill.registry.deploy_learnt`."""
    context = opened()
    return registry.deploy_learnt(context.workspace, context.registry, context.model(model), (decision, run_id), learnt)


@task(retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE, persist_result=False)
def carry_out(model: str, decision: Decision, run_id: str) -> bool:
    """Promote or roll back as a decision says; see `tidemill.registry.carry_out`."""
    context = opened()
    return registry.carry_out(context.workspace, context.registry, context.model(model), decision, run_id)


@task(cache_policy=NO_CACHE)
def champion(model: str) -> int | None:
    """The version that serves."""
    context = opened()
    return context.registry.alias(context.registered(model), registry.CHAMPION)
