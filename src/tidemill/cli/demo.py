"""The demo: services up, history loaded, a first model, then the replay, and what came of it."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from dataclasses import dataclass, replace
from http.client import HTTPConnection

from rich.console import Console

from tidemill.cli import runs
from tidemill.cli.by_hand import ByHand
from tidemill.cli.environment import adopt_environ
from tidemill.cli.keeping import keep_going
from tidemill.cli.progress import Screen
from tidemill.cli.reference import weekly_reference
from tidemill.cli.relay import Relay
from tidemill.cli.replay import Replay
from tidemill.cli.services import supervised
from tidemill.cli.summary import Summary, summarise
from tidemill.cli.terminal import terminal
from tidemill.clock import DAY_MS
from tidemill.errors import ConflictError, NotReadyError, ProjectError
from tidemill.pages import Pages
from tidemill.project import Project, Workspace, load_project
from tidemill.registry import CHAMPION, Registry
from tidemill.serving import Worker
from tidemill.settings import Settings
from tidemill.stores import Databases
from tidemill.stores.databases import NAMES
from tidemill.streams import Recording

_FIRST_FIT_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Plan:
    """How the demo runs: days to replay, the day of the first fit, a change acted out, and whether it stays up after.

    A person asks for a retrain `ask_after` days after the first promotion; 0 for nobody.
    """

    days: int
    first_fit: int
    drift_from: int | None
    reference: bool
    stay: bool
    ask_after: int


def run_demo(settings: Settings, plan: Plan, *, fresh: bool) -> Summary:
    """Run the demo; answers what came of it.

    Raises:
        ConflictError: the home holds the state of an earlier run, or the recording is too short.
        NotReadyError: a service does not come up, or a step does not end in time.
        ProjectError: the project has no recording.
    """
    if plan.first_fit >= plan.days:
        raise ConflictError(f"the first fit after {plan.first_fit} days leaves nothing of {plan.days} days to predict; lower --first-fit")
    begin_s = time.monotonic()
    settings = settings.model_copy(update={"server": settings.server.model_copy(update={"replay": True, "open": True})})
    project = load_project(settings.project)
    if project.recording is None:
        raise ProjectError("has no recording to replay", where=f"project {project.name!r}", fix="give Project(..., recording=...)")
    recording = project.recording(days=plan.days, drift_from=plan.drift_from)
    if _first_fit_ms(recording, plan) >= recording.last_ms:
        days = (recording.last_ms - recording.first_ms) / DAY_MS
        raise ConflictError(f"the recording has {days:.0f} days, so a first fit after {plan.first_fit} leaves nothing; lower --first-fit")
    _prepare_home(settings, fresh)
    _prepare_topics(settings, project, fresh)
    adopt_environ(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C does: the services must not outlive the demo
    console = terminal(stderr=True)
    console.print("starting MLflow, Prefect, the flows and the API server; logs in", settings.home / "logs")
    with supervised(settings, work=False):
        console.print(f"services healthy after {time.monotonic() - begin_s:.0f} s")
        _print_urls(settings, console)
        # the recording can be told again, so its log need not survive a power cut
        workspace = Workspace.open(project, settings.home, database=settings.database_url, log=settings.log, durable_log=False)
        registry = Registry(settings.mlflow_uri, workspace.home, settings.pyfunc)
        replay = _replay(settings, plan, workspace, registry, recording, console)
        summary = summarise(workspace, registry, replay, recording, time.monotonic() - begin_s)
        if plan.reference:
            weekly = weekly_reference(workspace, settings.project, workspace.project.models[0], console.print)
            summary = replace(summary, log_loss_weekly=weekly)
        console.print(summary.text)
        if plan.stay:
            _stay(settings, workspace, console)
    return summary


def _replay(settings: Settings, plan: Plan, workspace: Workspace, registry: Registry, recording: Recording, console: Console) -> Replay:
    worker = Worker(workspace, registry, settings.engine)
    server = HTTPConnection(settings.server.host, settings.server.port, timeout=60)
    with Screen(workspace, console) as screen:
        replay = Replay(worker, Relay(workspace, settings), recording, server, screen.show)
        first_fit_ms = _first_fit_ms(recording, plan)
        replay.load(first_fit_ms)
        for model in workspace.project.models:
            screen.phase(replay.progress, f"training the first {model.name}")
            _first_fit(workspace, registry, model.name, worker)
        replay.run(first_fit_ms, ByHand(workspace, runs.start, plan.ask_after * DAY_MS))
    return replay


def _first_fit_ms(recording: Recording, plan: Plan) -> int:
    """The midnight after so many whole days."""
    return recording.first_ms // DAY_MS * DAY_MS + DAY_MS + plan.first_fit * DAY_MS


def _first_fit(workspace: Workspace, registry: Registry, model: str, worker: Worker) -> None:
    training = f"train/{workspace.project.name}"
    runs.wait_until_served(training)
    run = runs.start(training, {"model": model})
    deadline_s = time.monotonic() + _FIRST_FIT_TIMEOUT_S
    while (end := runs.ended(run)) is None:
        worker.tend_lake()
        if time.monotonic() > deadline_s:
            raise NotReadyError(
                f"the first training of {model!r} has not ended after {_FIRST_FIT_TIMEOUT_S:.0f} s; see run {run} in Prefect"
            )
        time.sleep(0.2)
    if not end.completed or registry.alias(workspace.project.registered_name(model), CHAMPION) is None:
        raise NotReadyError(f"the first training of {model!r} ended {end.name}: {end.message}; see run {run} in Prefect")


def _prepare_home(settings: Settings, fresh: bool) -> None:
    """Refuse to mix two runs in one home."""
    home = settings.home.resolve()
    databases = Databases(home, settings.database_url)
    if fresh and databases.exists("state"):
        databases.remove(*NAMES)
        shutil.rmtree(home, ignore_errors=True)
    if databases.exists("state"):
        where = f"{databases.called('state')} holds what an earlier run has made"
        raise ConflictError(f"{where}; keep them and look with `tidemill up`, or start anew with --fresh")


def _prepare_topics(settings: Settings, project: Project, fresh: bool) -> None:
    """The same of topics, where they are the log."""
    if settings.log.kind == "kafka":
        from tidemill.stores.kafka_replay import clear_topics  # the client takes a quarter of a second to import

        clear_topics(project.streams, settings.log.kafka, project.name, drop=fresh)


def _print_urls(settings: Settings, console: Console) -> None:
    pages = Pages.abroad(settings)
    for name, url in (("dashboard", settings.public_url), ("MLflow", f"{pages.mlflow}/"), ("Prefect", f"{pages.prefect}/")):
        console.print(f"  {name:<10} {url}")


def _stay(settings: Settings, workspace: Workspace, console: Console) -> None:
    """Keep everything up, and the loop going for what people ask by hand, until Ctrl-C."""
    worker = Worker(workspace, Registry(settings.mlflow_uri, workspace.home, settings.pyfunc), settings.engine)
    console.print("the demo stays up; Ctrl-C ends it. Try another terminal:")
    for model in workspace.project.models:
        console.print(
            f"  PREFECT_API_URL={settings.prefect_api_url} prefect deployment run retrain/{workspace.project.name} -p model={model.name}",
        )
        console.print(f'  tidemill retrain {model.name} --reason "just to see"')
    _print_urls(settings, console)
    keep_going(worker, Relay(workspace, settings), settings.engine)
    console.print("ending")
