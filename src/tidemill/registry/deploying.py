"""Deploying: move the alias, then wait until every server says it serves the new champion."""

from __future__ import annotations

import time

from tidemill.clock import wall_ms
from tidemill.errors import NotFoundError, NotReadyError
from tidemill.learning import Model
from tidemill.project import Workspace
from tidemill.registry.registry import PREVIOUS, Registry

HEARD_OF_MS = 60_000


def deploy(workspace: Workspace, registry: Registry, model: Model, version: int, timeout_s: float = 180.0) -> dict[str, int]:
    """Make a version the champion and wait for the servers; answers which server serves what. With no server up it waits for none.

    One that was killed is waited for until it has not been heard of for a minute.

    Raises:
        NotFoundError: there is no such version.
        NotReadyError: a server that was heard of lately does not serve it in time; the alias stays moved.
    """
    registry.promote(workspace.project.registered_name(model.name), version)
    deadline_s = time.monotonic() + timeout_s
    while True:
        servers = workspace.predictions.servers(model.name, wall_ms() - HEARD_OF_MS)
        if all(serving == version for serving in servers.values()):
            return servers
        if time.monotonic() > deadline_s:
            behind = sorted(server for server, serving in servers.items() if serving != version)
            raise NotReadyError(
                f"after {timeout_s:.0f} s version {version} of {model.name!r} is not served by {', '.join(behind)}; see its log"
            )
        time.sleep(0.1)


def roll_back(workspace: Workspace, registry: Registry, model: Model) -> int:
    """Make the previous champion the champion again; answers its version.

    Raises:
        NotFoundError: there is no previous champion.
    """
    name = workspace.project.registered_name(model.name)
    previous = registry.alias(name, PREVIOUS)
    if previous is None:
        raise NotFoundError("previous champion", name, [str(version) for version in registry.versions(name)])
    deploy(workspace, registry, model, previous)
    return previous
