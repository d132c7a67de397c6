"""Serve the flows as deployments `FLOW/PROJECT`; a decision's event starts `retrain` by an automation of its deployment.

Run it by `tidemill up`, which also sets the addresses of Prefect and MLflow. While Prefect is away it waits, and then serves again.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = 4
NIGHTLY = "17 3 * * *"  # of the wall clock, as it is about files and not about events
# Prefect's runner ends with its runs when three questions in a row are not answered. So each is asked for some four minutes, in which a
# fit goes on; this is also how long a run that has ended tries to say so.
RETRIES = "7"
GIVEN_UP = ("Service exceeded error threshold", "Failed to reach API")  # what its errors of no kind of their own begin with

logger = logging.getLogger(__name__)


def from_event(name: str) -> dict[str, str]:
    """A parameter taken from the event's payload; always text, as the template makes it."""
    return {"__prefect_kind": "jinja", "template": f"{{{{ event.payload.{name} }}}}"}


def is_outage(error: BaseException) -> bool:
    """Whether Prefect was away, rather than that it refuses what it is told.

    >>> is_outage(ExceptionGroup("", [RuntimeError(GIVEN_UP[0])])), is_outage(RuntimeError("no such flow"))
    (True, False)
    """
    from httpx import HTTPStatusError, TransportError

    if isinstance(error, BaseExceptionGroup):
        return all(is_outage(each) for each in error.exceptions)
    if isinstance(error, HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, TransportError) or str(error).startswith(GIVEN_UP)


def serve_again(serve: Callable[[], None], wait: Callable[[], None]) -> None:
    """Serve until told to end; after an outage wait, and serve anew.

    Args:
        serve: returns when told to end.
        wait: returns when Prefect answers.
    """
    while True:
        try:
            return serve()
        except Exception as error:
            if not is_outage(error):
                raise
            logger.warning("Prefect is away; its runs are followed by others once it is back error=%r", error)
        wait()


def main() -> None:
    """Serve until ended."""
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)  # entrypoints are relative to the project root; a run starts there again
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", RETRIES)  # before Prefect is imported, which reads it once

    from prefect import Flow
    from prefect import serve as serve_flows
    from prefect.events import DeploymentEventTrigger

    from flows.backfill import backfill
    from flows.compact import compact
    from flows.deploy import deploy
    from flows.ingest import ingest
    from flows.loop import loop
    from flows.monitor import monitor
    from flows.retrain import retrain
    from flows.rollback import rollback
    from flows.train import train
    from flows.update import update
    from tidemill.cli.relay import event_of
    from tidemill.cli.services import wait_for
    from tidemill.project import load_project
    from tidemill.settings import read_settings
    from tidemill.stores.decisions import Act

    settings = read_settings()
    project = load_project(settings.project).name
    wait = partial(wait_for, f"{settings.prefect_api_url}/health", "Prefect")
    wait()

    def started_by_decisions(flow: Flow[Any, Any], act: Act, *parameters: str) -> Any:
        trigger = DeploymentEventTrigger(
            name=f"tidemill: a decision of {project} starts {flow.name}",
            expect={event_of(act)},
            match={"prefect.resource.id": f"tidemill.{project}.*"},
            parameters={name: from_event(name) for name in ("model", "decision_id", *parameters)},
        )
        return flow.to_deployment(name=project, description=flow.description, triggers=[trigger])

    def serve() -> None:
        plain: tuple[Flow[Any, Any], ...] = (backfill, ingest, loop, monitor, train)
        deployments = [flow.to_deployment(name=project, description=flow.description) for flow in plain]
        deployments.append(compact.to_deployment(name=project, description=compact.description, cron=NIGHTLY))
        deployments.append(started_by_decisions(retrain, "retrain", "reason"))
        deployments.append(started_by_decisions(update, "update"))
        deployments.append(started_by_decisions(rollback, "rollback"))
        deployments.append(started_by_decisions(deploy, "promote"))
        serve_flows(*deployments, limit=AT_ONCE, print_starting_message=False)  # type: ignore[arg-type]  # not coroutines outside a loop

    serve_again(serve, partial(wait, timeout_s=math.inf))


if __name__ == "__main__":
    main()
