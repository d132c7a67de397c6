"""Tasks that change what serves."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.context import opened
from tidemill import registry


@task(retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE)
def deploy(model: str, version: int) -> dict[str, int]:
    """Move the alias and wait for the servers; see `tidemill.registry.deploy`."""
    context = opened()
    return registry.deploy(context.workspace, context.registry, context.model(model), version)


@task(cache_policy=NO_CACHE)
def roll_back(model: str) -> int:
    """See `tidemill.registry.roll_back`."""
    context = opened()
    return registry.roll_back(context.workspace, context.registry, context.model(model))


@task(cache_policy=NO_CACHE)
def champion(model: str) -> int | None:
    """The version that serves."""
    context = opened()
    return context.registry.alias(context.registered(model), registry.CHAMPION)
