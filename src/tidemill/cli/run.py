"""Commands that run until ended: `up`, `serve`, `work`."""

from __future__ import annotations

import logging
import os
from contextlib import closing, suppress
from ipaddress import ip_address
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidemill.cli.options import ProjectPath, settings_for, workspace_for
from tidemill.clock import wall_ms
from tidemill.errors import SettingsError
from tidemill.settings import ServerSettings, Settings, read_settings

if TYPE_CHECKING:
    from tidemill.project import Workspace

logger = logging.getLogger(__name__)

_OPEN, _WORKERS = "TIDEMILL_SERVER__OPEN", "TIDEMILL_SERVER__WORKERS"
Open = Annotated[bool, typer.Option("--open", help="Ask nobody on this machine for a key; the same as TIDEMILL_SERVER__OPEN=true.")]
Workers = Annotated[
    int | None, typer.Option(min=1, max=64, help="Processes that share the port, about one a core; the same as TIDEMILL_SERVER__WORKERS.")
]
_KEEP_ALIVE_S = 75  # with uvicorn's 5 s a program that asks every ten seconds would connect each time
_HEALTHY_S = 60  # a process that loads a model beside much other work may take long to say that it is there


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(up)
    app.command()(serve)
    app.command()(work)


def up(
    project: ProjectPath = None,
    work: Annotated[bool, typer.Option(help="Also run the engine; a replay runs its own.")] = True,
    open_: Open = False,
) -> None:
    """Start MLflow, Prefect, the flows, the API server and the engine, and keep them up until Ctrl-C.

    The API server asks for keys (`tidemill keys create`), unless it is told to be open to this machine.
    """
    from tidemill.cli.environment import shared_environ
    from tidemill.cli.services import ending, refuse_taken_ports, services
    from tidemill.cli.sole_up import sole_up
    from tidemill.cli.supervising import Supervisor

    settings = opened(settings_for(project), open_)
    wanted = services(settings, work=work)
    environ = {**os.environ, **shared_environ(settings)}
    if settings.server.open:
        environ[_OPEN] = "true"
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # MLflow and Prefect start many times slower when they compile at each start
    with sole_up(settings.home.resolve()) as note:
        refuse_taken_ports(wanted)
        supervisor = Supervisor({service.name: service.line for service in wanted}, environ, ending(settings), note)
        supervisor.loop()
    raise typer.Exit(supervisor.returncode or 0)


def serve(project: ProjectPath = None, open_: Open = False, workers: Workers = None) -> None:
    """Run the API server and the page. It asks for keys, see `tidemill keys`; with TLS where TIDEMILL_SERVER__TLS_CERT_FILE is set."""
    if workers is not None:
        os.environ[_WORKERS] = str(workers)
    settings = opened(settings_for(project), open_)  # before the imports below: MLflow reads its switches once, when it is imported
    server = settings.server
    if server.open:
        os.environ[_OPEN] = "true"  # each process reads the environment
    refuse_missing_files(server)
    import uvicorn

    from tidemill.cli.application import make_app
    from tidemill.cli.workers import run_workers
    from tidemill.serving import Connection

    with closing(workspace_for(settings)) as workspace:  # before there are processes that would fail one by one
        if not server.open:
            tell_how_to_begin(workspace, server)
    how: dict[str, Any] = {
        "http": Connection,
        "ws": "none",  # there is no route for one
        "host": server.host,
        "port": server.port,
        "log_config": None,
        "log_level": "info",  # which says where it answers, and that a process has died
        "access_log": False,
        "timeout_keep_alive": _KEEP_ALIVE_S,
        "timeout_graceful_shutdown": server.end_s,
        "timeout_worker_healthcheck": _HEALTHY_S,
        "ssl_certfile": server.tls_cert_file,
        "ssl_keyfile": server.tls_key_file,
    }
    with suppress(KeyboardInterrupt):
        if server.workers == 1:
            uvicorn.run(make_app(), **how)
        else:
            run_workers(uvicorn.Config(f"{make_app.__module__}:{make_app.__name__}", factory=True, workers=server.workers, **how))


def opened(settings: Settings, open_: bool) -> Settings:
    """The settings, with a server that asks for no key if an option says so.

    Raises:
        SettingsError: it would be open to other machines.
    """
    return read_settings({**os.environ, _OPEN: "true"}).model_copy(update={"project": settings.project}) if open_ else settings


def refuse_missing_files(server: ServerSettings) -> None:
    """Look at the files of TLS before there are processes that would fail one by one, and be started anew for ever.

    Raises:
        SettingsError: one cannot be read, or they do not belong together.
    """
    if server.tls_cert_file is None:
        return
    try:
        SSLContext(PROTOCOL_TLS_SERVER).load_cert_chain(server.tls_cert_file, server.tls_key_file)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        what = f"TLS cannot be had from {server.tls_cert_file} and {server.tls_key_file}: {error}"
        raise SettingsError(f"{what}; name PEM files in TIDEMILL_SERVER__TLS_CERT_FILE and TIDEMILL_SERVER__TLS_KEY_FILE") from error


def tell_how_to_begin(workspace: Workspace, server: ServerSettings) -> None:
    """Log what the owner of a server that nobody can call has to do, and that a key may be overheard where it is so."""
    if not any(key.stands(wall_ms()) for key in workspace.keys.all()):
        logger.warning("no key stands yet, so calls are refused; `tidemill keys create NAME --scope ...` makes one")
    if server.tls_cert_file is None and not (server.host == "localhost" or ip_address(server.host).is_loopback):
        logger.warning("keys go in the clear host=%s; set TIDEMILL_SERVER__TLS_CERT_FILE, or put a proxy with TLS before it", server.host)


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
    from tidemill.serving.tracing import tracing

    with closing(workspace_for(settings)) as workspace, tracing(settings.telemetry, "engine"):  # others take over at once what this one had
        streams = ",".join(stream.name for stream in workspace.project.streams)
        logger.info("at work project=%s home=%s streams=%s; Ctrl-C ends it", workspace.project.name, workspace.home, streams)
        worker = Worker(workspace, Registry(settings.mlflow_uri, workspace.home, settings.pyfunc), settings.engine, workspace.share())
        keep_going(worker, None if engine_only else Relay(workspace, settings), settings.engine)
