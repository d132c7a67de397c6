"""Commands that run until ended: `up`, `serve`, `work`."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from typing import Annotated

import typer

from tidemill.cli.options import ProjectPath, settings_for, workspace_for

_KEEP_ALIVE_S = 75  # with uvicorn's 5 s a program that asks every ten seconds would connect each time


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(up)
    app.command()(serve)
    app.command()(work)


def up(
    project: ProjectPath = None,
    work: Annotated[bool, typer.Option(help="Also run the engine; a replay runs its own.")] = True,
) -> None:
    """Start MLflow, Prefect, the flows, the API server and the engine, and keep them up until Ctrl-C."""
    from honcho.manager import Manager

    from tidemill.cli.environment import shared_environ
    from tidemill.cli.services import refuse_taken_ports, services

    settings = settings_for(project)
    wanted = services(settings, work=work)
    refuse_taken_ports(wanted)
    manager = Manager()
    environ = {**os.environ, **shared_environ(settings)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # MLflow and Prefect start many times slower when they compile at each start
    for service in wanted:
        manager.add_process(service.name, service.line, env=environ)
    manager.loop()
    raise typer.Exit(manager.returncode or 0)


def serve(project: ProjectPath = None) -> None:
    """Run the API server and the page, on loopback."""
    settings = settings_for(project)  # before the imports below: MLflow reads its switches once, when it is imported
    import uvicorn

    from tidemill.registry import Registry
    from tidemill.serving import Champions, create_app
    from tidemill.ui import OverviewReader, alert_router, page_router

    workspace = workspace_for(settings)
    champions = Champions(workspace, Registry(settings.mlflow_uri, workspace.home), f"{socket.gethostname()}:{os.getpid()}")
    reader = OverviewReader(workspace, settings)
    pages = page_router(reader.read)
    pages.include_router(alert_router(workspace, reader.forget))
    app = create_app(workspace, settings, champions, pages)
    host, port = settings.server.host, settings.server.port
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, timeout_keep_alive=_KEEP_ALIVE_S)


def work(
    project: ProjectPath = None,
    engine_only: Annotated[bool, typer.Option(help="Apply events and nothing else: for further machines on one Kafka.")] = False,
) -> None:
    """Run the engine: apply events, append to the lake, watch for drift, carry out decisions and alerts."""
    settings = settings_for(project)  # before the imports below: Prefect reads its address once, when it is imported
    from tidemill.cli.keeping import keep_going
    from tidemill.cli.relay import Relay
    from tidemill.registry import Registry
    from tidemill.serving import Worker

    with closing(workspace_for(settings)) as workspace:  # others take over at once what this one had
        worker = Worker(workspace, Registry(settings.mlflow_uri, workspace.home), settings.engine, workspace.share())
        keep_going(worker, None if engine_only else Relay(workspace, settings), settings.engine)
