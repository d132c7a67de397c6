"""`deploy`: move the champion's alias and wait until every server confirms."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks import deployment


@flow(name="deploy")
def deploy(model: str, version: int) -> State:
    """Make a version the champion."""
    servers = deployment.deploy(model, version)
    return Completed(name="Deployed", message=f"version {version} serves on {len(servers)} servers")
