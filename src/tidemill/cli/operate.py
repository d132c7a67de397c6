"""Commands that act: `replay`, `predict`, `backfill`, `train`, `retrain`, `promote`, `rollback`, `freeze`, `unfreeze`."""

from __future__ import annotations

import json
import time
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidemill.cli.acts import acted
from tidemill.cli.options import AsJson, ModelName, ProjectPath, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal
from tidemill.client.failures import told_in
from tidemill.clock import HOUR_MS, wall_ms
from tidemill.errors import ConflictError, DeniedError, InputError, NotReadyError, UnavailableError
from tidemill.pages import Pages
from tidemill.settings import Settings

if TYPE_CHECKING:
    from tidemill.project import Workspace

_PATIENCE_S = 30  # with a server that takes long
_MOST_CLASSES = 3  # that `predict` prints
_MOST_COLUMNS = 10  # likewise


def _worded(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("say in a word why")
    return reason


Reason = Annotated[str, typer.Option(help="Why, for the audit.", callback=_worded)]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (replay, predict, backfill, train, retrain, promote, rollback, freeze, unfreeze):
        app.command()(command)


def replay(
    stream: Annotated[str, typer.Argument(help="The stream's name.")],
    file: Annotated[Path, typer.Argument(help="A file of one JSON event a line, in time order.")],
    speed: Annotated[float, typer.Option(min=0, help="Times faster than it happened; 0 for as fast as can be.")] = 0.0,
    project: ProjectPath = None,
) -> None:
    """Append a file's events to a stream's log, at the pace they happened or faster."""
    from tidemill.cli.pacing import paced

    if file.suffix == ".csv":  # each line of it would be a dead letter
        raise InputError("is no file of JSON lines; a stream's source reads CSV: `Files`, see docs/sources.md", where=str(file))
    workspace = workspace_for(settings_for(project))
    count = paced(workspace.log, workspace.project.stream(stream), file, speed)
    acted(workspace, "replay", stream, f"{count} events of {file.name}")
    terminal().print(f"{count} events appended to {stream}")


def predict(
    model: ModelName,
    request: Annotated[str, typer.Argument(help="The request as JSON: one object, or an array of them; '-' reads standard input.")],
    explain: Annotated[bool, typer.Option("--explain", help="Say by how much each column moved the answer, the most first.")] = False,
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Ask a model; the server must be up."""
    settings = settings_for(project)
    body = typer.get_text_stream("stdin").read() if request == "-" else request
    answer = call(settings, "POST", f"/v1/models/{model}/predict{'?explain=true' if explain else ''}", body.encode())
    if json_:
        print_json(answer)
        return
    for one in answer if isinstance(answer, list) else [answer]:
        said = _said(one)
        terminal().print(f"{said}  (version {one['model_version']}, prediction {one['prediction_id']})")
        for column, age_ms in one.get("missing", {}).items():
            since = "" if age_ms is None else f", newest event of its stream {age_ms / HOUR_MS:.1f} h before"
            terminal().print(f"  missing {column}{since}")
        for column, moved in _moved(one):
            terminal().print(f"  {moved:+.4f} {column}")


def _moved(answer: dict[str, Any]) -> list[tuple[str, float]]:
    """What moved an answer most, and what is left unexplained; empty where it was not asked for."""
    why = answer.get("explanation")
    if why is None:
        return []
    return [*list(why["contributions"].items())[:_MOST_COLUMNS], ("(unexplained)", why["unexplained"])]


def _said(answer: dict[str, Any]) -> str:
    """An answer in a few words: a probability, a value, or the most probable classes with their probabilities."""
    if "probabilities" in answer:
        likely = sorted(answer["probabilities"].items(), key=lambda one: -one[1])
        more = f", {len(likely) - _MOST_CLASSES} more" if len(likely) > _MOST_CLASSES else ""
        return ", ".join(f"{name} {share:.4f}" for name, share in likely[:_MOST_CLASSES]) + more
    return f"{answer['probability']:.4f}" if "probability" in answer else f"{answer['value']:.6g}"


def backfill(view: Annotated[str, typer.Argument(help="The name of a view or table.")], project: ProjectPath = None) -> None:
    """Fill what a view or table lacks from the lake, as if it had been there from the start. Killed, it goes on where it stopped."""
    console, workspace = terminal(), workspace_for(settings_for(project))
    with console.status(f"{view}: reading the lake") as status:
        count = workspace.backfill(view, lambda done: status.update(f"{view}: {done:,} events"))
    if count:
        acted(workspace, "backfill", view, f"{count} events")
    console.print(f"{view} filled from {count:,} events" if count else f"{view} is whole: it has every event since the first")


def train(model: ModelName, project: ProjectPath = None) -> None:
    """Train a model; the first one serves at once, a later one is registered as challenger. It exits with 1 where it was refused."""
    settings = settings_for(project)
    workspace = workspace_for(settings)
    name = workspace.project.model(model).name
    _run(settings, workspace, "train", {"model": name})


def retrain(
    model: ModelName,
    reason: Reason,
    key: Annotated[
        str, typer.Option(help="For a program: what it is for, e.g. a load's name; asked again with it, nothing is done twice.")
    ] = "",
    project: ProjectPath = None,
) -> None:
    """Retrain a model by hand: it skips cooldown, budget and minimum labels, not a freeze, bad data or the gate; with --key nothing.

    It exits with 0 once a challenger is judged, rejected by the gate or not, or where another run does it; with 1 where it was refused.
    """
    settings = settings_for(project)
    workspace = workspace_for(settings)
    name = workspace.project.model(model).name
    _run(settings, workspace, "retrain", {"model": name, "reason": reason, "by": getuser(), "key": key}, said=reason)


def promote(model: ModelName, version: Annotated[int, typer.Argument(help="The registered version.")], project: ProjectPath = None) -> None:
    """Make a version the champion, whatever the gate said of it; it is a decision of yours, and has no probation.

    The server does it at once, with a key that may `operate` where it asks for one (TIDEMILL_CLIENT__KEY); without a key, or where no
    server is up, a flow does, which takes some seconds.
    """
    settings = settings_for(project)
    workspace = workspace_for(settings)
    name = workspace.project.model(model).name
    if not _by_server(settings, f"/v1/models/{name}/promote", {"version": version}, "Deployed"):
        _run(settings, workspace, "deploy", {"model": name, "version": version, "by": getuser()}, act="promote", said=f"version {version}")


def rollback(model: ModelName, project: ProjectPath = None) -> None:
    """Make the previous champion the champion again: by the server in less than a second, with a key that may `operate` where it asks for
    one (TIDEMILL_CLIENT__KEY); without a key, or where no server is up, by a flow, which takes some seconds.
    """
    settings = settings_for(project)
    workspace = workspace_for(settings)
    name = workspace.project.model(model).name
    if not _by_server(settings, f"/v1/models/{name}/rollback", {}, "RolledBack"):
        _run(settings, workspace, "rollback", {"model": name, "by": getuser()})


def _by_server(settings: Settings, path: str, asked: dict[str, object], done: str) -> bool:
    """Have the server do it; False, and why is said, where a flow has to, as without a key a command has its user's rights.

    Raises:
        DeniedError: the key that is set may not.
    """
    try:
        ended = call(settings, "POST", path, json.dumps({**asked, "by": getuser()}).encode())
    except (UnavailableError, DeniedError) as error:
        if isinstance(error, DeniedError) and settings.client.key.get_secret_value():
            raise
        terminal(stderr=True).print(f"by a flow, which takes longer: {error}")
        return False
    terminal().print(f"{done}: version {ended['to_version']} serves, after {ended['took_ms']} ms")
    return True


def freeze(model: ModelName, reason: Reason, project: ProjectPath = None) -> None:
    """Keep a model from being retrained until it is unfrozen."""
    workspace = workspace_for(settings_for(project))
    if not workspace.decisions.freeze(workspace.project.model(model).name, getuser(), reason, wall_ms()):
        raise ConflictError(f"{model} is frozen already; `tidemill acts` says by whom, and why")
    acted(workspace, "freeze", model, reason)
    terminal().print(f"{model} is frozen; `tidemill unfreeze {model}` ends it")


def unfreeze(model: ModelName, project: ProjectPath = None) -> None:
    """Let a model be retrained again."""
    workspace = workspace_for(settings_for(project))
    if not workspace.decisions.unfreeze(workspace.project.model(model).name, getuser(), wall_ms()):
        raise ConflictError(f"{model} is not frozen")
    acted(workspace, "unfreeze", model)
    terminal().print(f"{model} is no longer frozen")


def _run(settings: Settings, workspace: Workspace, flow: str, parameters: dict[str, Any], *, act: str = "", said: str = "") -> None:
    """Start a flow on Prefect, write down that it was asked for, and wait for how it ends; exit with 1 where that was not done."""
    from tidemill.cli import runs

    console = terminal()
    run = runs.start(f"{flow}/{workspace.project.name}", parameters)
    acted(workspace, act or flow, parameters["model"], said)
    with console.status(f"{flow} runs; see {Pages.abroad(settings).flow_run(str(run))}"):
        while (end := runs.ended(run)) is None:
            time.sleep(0.5)
    console.print(f"{end.name}: {end.message}")
    if not end.done:
        raise typer.Exit(1)


def call(settings: Settings, method: str, path: str, body: bytes = b"") -> Any:
    """What the server answers, as JSON.

    Raises:
        UnavailableError: no server is up.
        DeniedError: it does not let this key do that.
        InputError: it refuses the request as wrong.
        NotReadyError: it refuses it for another reason.
    """
    from urllib3 import PoolManager
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    client = settings.client
    url, key = (client.url or settings.server_url).rstrip("/"), client.key.get_secret_value()
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    try:
        with PoolManager(retries=False, timeout=_PATIENCE_S, ca_certs=client.ca_file) as pool:
            answer = pool.request(method, url + path, body=body, headers=headers)
    except ReadTimeoutError as error:
        raise NotReadyError(f"the server at {url} has not answered for {_PATIENCE_S} s, and may still do it; see its log") from error
    except HTTPError as error:
        raise UnavailableError(f"no server at {url} ({type(error).__name__}); start it with `tidemill up`") from error
    try:
        content = json.loads(answer.data)
    except ValueError as error:
        raise NotReadyError(f"the server answered {answer.status} with something that is not JSON; see its log") from error
    if answer.status != 200:
        where, what = told_in(content)
        if answer.status in (401, 403):
            raise DeniedError(f"{what}; commands show the key of TIDEMILL_CLIENT__KEY", where=url)
        raise InputError(what, where=where) if answer.status == 422 else NotReadyError(what or str(content))
    return content
