"""The processes of a system: which they are, whether they are well, and how they are kept up (by honcho)."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from urllib.error import URLError
from urllib.request import urlopen

from tidemill.cli.ending import END_S
from tidemill.cli.environment import shared_environ
from tidemill.cli.sole_up import sole_up
from tidemill.cli.supervising import Stage
from tidemill.errors import NotReadyError
from tidemill.project_file import project_root
from tidemill.settings import Settings

_URL = "TIDEMILL_DATABASE__URL"
_RUN_S = 30  # so long has a run that Prefect gives up, and then it is killed
_ASKED_S = 30  # for one that nobody asks any more: on a busy machine Python takes ten seconds to clear away what MLflow is made of
_LAST_S = 15  # for what a server does after it has waited, and for a run to be told of to Prefect


@dataclass(frozen=True)
class Service:
    """One process: how it is started, and the URL that tells it is well ("" for one without)."""

    name: str
    command: tuple[str, ...]
    health_url: str = ""
    port: int = 0

    @property
    def line(self) -> str:
        """The command for a shell."""
        return " ".join(quote(part) for part in self.command)


def services(settings: Settings, *, work: bool) -> list[Service]:
    """The processes of `tidemill up`; without `work` the caller runs the engine itself, as a replay does."""
    home = settings.home.resolve()
    programs = Path(sys.executable).parent
    mlflow = ("--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", f"{home}/artifacts")
    found = []
    if not settings.mlflow.uri:
        command = (
            str(programs / "mlflow"),
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(settings.mlflow.port),
            "--workers",
            "1",
            "--uvicorn-opts=--no-access-log",  # servers ask every second, for as long as they are up
            *mlflow,
        )
        found.append(Service("mlflow", command, f"{settings.mlflow_uri}/health", settings.mlflow.port))
    if not settings.prefect.api_url:
        started = (str(programs / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(settings.prefect.port))
        found.append(Service("prefect", started, f"{settings.prefect_api_url}/health", settings.prefect.port))
    tidemill = str(programs / "tidemill")
    found.append(Service("flows", (sys.executable, str(project_root() / "deployments" / "serve.py"))))
    found.append(Service("server", (tidemill, "serve"), f"{settings.server_url}/healthz", settings.server.port))
    if work:
        found.append(Service("engine", (tidemill, "work")))
    return found


def ending(settings: Settings) -> list[Stage]:
    """How they are ended: who asks Prefect and MLflow first, as a run that cannot tell Prefect that it was ended tries to for minutes."""
    asking = Stage(frozenset({"flows", "server", "engine"}), max(_RUN_S, settings.server.end_s + END_S) + _LAST_S)
    return [asking, Stage(frozenset({"mlflow", "prefect"}), _ASKED_S)]


def refuse_taken_ports(wanted: list[Service]) -> None:
    """Refuse to start when a port is taken.

    Raises:
        NotReadyError: names the port and what to do.
    """
    for service in wanted:
        if service.port and is_taken(service.port):
            variable = f"TIDEMILL_{service.name.upper()}__PORT"
            raise NotReadyError(f"port {service.port} of {service.name} is taken; end what holds it, or set {variable} to another")


def is_taken(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_well(url: str) -> bool:
    """Whether a health URL answers 200."""
    try:
        # a fixed loopback URL from the settings, told nothing secret: a certificate made out to another name will do
        with urlopen(url, timeout=2, context=ssl._create_unverified_context()) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def wait_for(url: str, name: str, gone: Callable[[], bool] = lambda: False, timeout_s: float = 600.0) -> None:
    """Wait until a health URL answers; give up at once when `gone` says that what should answer has ended.

    Raises:
        NotReadyError: it does not in time.
    """
    deadline_s = time.monotonic() + timeout_s
    while not is_well(url):
        if gone() or time.monotonic() > deadline_s:
            raise NotReadyError(f"{name} does not answer at {url}")
        time.sleep(0.2)


def wait_until_well(wanted: list[Service], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until every service with a health URL answers.

    Raises:
        NotReadyError: the supervisor ended, or one does not answer in time; with the end of the log.
    """
    for service in (service for service in wanted if service.health_url):
        try:
            wait_for(service.health_url, service.name, lambda: process.poll() is not None)
        except NotReadyError as error:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
            raise NotReadyError(f"{error}; the end of {log}:\n{tail}") from error


@contextmanager
def supervised(settings: Settings, *, work: bool) -> Iterator[list[Service]]:
    """The services in the background while the block runs, all of them ended after it; their output goes to `logs/services.log`."""
    wanted = services(settings, work=work)
    with sole_up(settings.home.resolve()):
        refuse_taken_ports(wanted)
    log = settings.home.resolve() / "logs" / "services.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [str(Path(sys.executable).parent / "tidemill"), "up", *([] if work else ["--no-work"])]
    environ = {**os.environ, **shared_environ(settings), **_own(settings)}
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ, start_new_session=True)
    try:
        wait_until_well(wanted, process, log)
        yield wanted
    finally:
        end(process, 2 * sum(stage.patience_s for stage in ending(settings)))


def end(process: subprocess.Popen[bytes], wait_s: float) -> None:
    """End a supervisor and what it started: ask, wait, insist, and only then leave behind what it started."""
    for how in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            continue


def _own(settings: Settings) -> dict[str, str]:
    """The settings of this process as variables, so that a child has the same ones."""
    changed = settings.model_dump(
        mode="json", exclude_defaults=True, exclude={"home", "project", "profile", "alerts", "client", "database"}
    )
    database = {_URL: settings.database_url} if settings.database_url and f"{_URL}_FILE" not in os.environ else {}
    return {"TIDEMILL_PROFILE": settings.profile, **database} | {
        f"TIDEMILL_{section.upper()}__{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for section, values in changed.items()
        if isinstance(values, dict)
        for name, value in values.items()
    }
