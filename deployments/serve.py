"""Serve the flows as deployments `FLOW/PROJECT`; a decision's event starts `retrain` by an automation of its deployment.

Run it by `tidemill up`, which also sets the addresses of Prefect and MLflow.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = 4
NIGHTLY = "17 3 * * *"  # of the wall clock, as it is about files and not about events


def from_event(name: str) -> dict[str, str]:
    """A parameter taken from the event's payload; always text, as the template makes it."""
    return {"__prefect_kind": "jinja", "template": f"{{{{ event.payload.{name} }}}}"}


def main() -> None:
    """Serve until ended."""
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)  # entrypoints are relative to the project root; a run starts there again

    from prefect import Flow, serve
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
    wait_for(f"{settings.prefect_api_url}/health", "Prefect")

    def started_by_decisions(flow: Flow[Any, Any], act: Act, *parameters: str) -> Any:
        trigger = DeploymentEventTrigger(
            name=f"tidemill: a decision of {project} starts {flow.name}",
            expect={event_of(act)},
            match={"prefect.resource.id": f"tidemill.{project}.*"},
            parameters={name: from_event(name) for name in ("model", "decision_id", *parameters)},
        )
        return flow.to_deployment(name=project, description=flow.description, triggers=[trigger])

    plain: tuple[Flow[Any, Any], ...] = (backfill, ingest, loop, monitor, train)
    deployments = [flow.to_deployment(name=project, description=flow.description) for flow in plain]
    deployments.append(compact.to_deployment(name=project, description=compact.description, cron=NIGHTLY))
    deployments.append(started_by_decisions(retrain, "retrain", "reason"))
    deployments.append(started_by_decisions(update, "update"))
    deployments.append(started_by_decisions(rollback, "rollback"))
    deployments.append(started_by_decisions(deploy, "promote"))
    serve(*deployments, limit=AT_ONCE, print_starting_message=False)  # type: ignore[arg-type]  # not coroutines outside an event loop


if __name__ == "__main__":
    main()
