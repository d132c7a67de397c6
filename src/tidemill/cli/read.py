"""Commands that read: `status`, `doctor`, `features`, `drift`, `parity`, `deadletters`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidemill.cli.acts import acted
from tidemill.cli.moments import moment, read_moment
from tidemill.cli.options import AsJson, ModelName, ProjectPath, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal
from tidemill.clock import wall_ms
from tidemill.errors import InputError, NotReadyError

if TYPE_CHECKING:
    from tidemill.project import Workspace

_COLOURS = {"ok": "green", "note": "yellow", "bad": "red"}


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (status, doctor, features, drift, parity, deadletters):
        app.command()(command)


def status(
    project: ProjectPath = None,
    json_: AsJson = False,
    live: Annotated[bool, typer.Option("--live", help="Go on showing it, with events and predictions a second, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="With --live: seconds between two looks.")] = 2.0,
) -> None:
    """Show the books of every stream, the champions, and what the loop did last."""
    from tidemill.cli.standing import follow, read_standing, render

    settings = settings_for(project)
    workspace = workspace_for(settings, remember=False)
    if live:
        if json_:
            raise InputError("a view for a person; ask `tidemill status --json` as often as you need it", where="--live")
        follow(workspace, settings, terminal(), every)
        return
    standing = read_standing(workspace, settings)
    if json_:
        print_json({name: value for name, value in vars(standing).items() if name != "at_wall_ms"})
    else:
        terminal().print(render(standing))


def doctor(project: ProjectPath = None, json_: AsJson = False) -> None:
    """Check versions, disk, ports and services, and say what to do."""
    from tidemill.cli.doctor import examine

    findings = examine(settings_for(project))
    if json_:
        print_json(findings)
    else:
        console = terminal()
        for finding in findings:
            console.print(Text(finding.state, style=_COLOURS[finding.state]), f"{finding.what}: {finding.said}")
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def features(
    view: Annotated[str, typer.Argument(help="The name of a view or table.")],
    key: Annotated[str, typer.Argument(help="The entity's key; several fields joined by commas, e.g. EWR,UA.")],
    at: Annotated[
        str | None, typer.Option(help="A time: ISO 8601, UTC where it names no zone, or s or ms since 1970; now when left out.")
    ] = None,
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Read the features of one key, now or at an earlier time."""
    from tidemill.serving import read_features

    workspace = workspace_for(settings_for(project), remember=False)
    answer = read_features(workspace, workspace.project.source(view), key, None if at is None else read_moment(at))
    if json_:
        print_json(answer)
        return
    console = terminal()
    console.print(f"{view} of {key} at {moment(answer.at_ms)}, from the {answer.source}")
    table = Table(box=None, show_header=False)
    for name, value in answer.values.items():
        table.add_row(name, "missing" if value is None else value if isinstance(value, str) else f"{value:g}")
    console.print(table)


def drift(model: ModelName, project: ProjectPath = None, json_: AsJson = False) -> None:
    """Show what the monitors of a model hold: data faults, columns that warn, and the last check by Evidently and by a classifier."""
    workspace = workspace_for(settings_for(project), remember=False)
    name = workspace.project.model(model).name
    states = {kind: workspace.monitors.load(f"{kind}:{name}")[1] for kind in ("outcomes", "windows", "check")}
    if json_:
        print_json(states)
        return
    console = terminal()
    _tell_watched(console, states["windows"] or {})
    check = states["check"]
    if check is None:
        console.print(f"no check of {name} yet; it runs every {workspace.project.model(model).monitor.check_every} of stream time")
        return
    console.print(f"Evidently at {moment(check['at_ms'])}, version {check['version']}: {check['reason']}")
    table = Table("column", "distance", "threshold", "failed", box=None)
    for column, value in sorted(check["values"].items(), key=lambda item: -item[1] / check["thresholds"][item[0]]):
        table.add_row(column, f"{value:.3f}", f"{check['thresholds'][column]:.3f}", "yes" if column in check["failed"] else "")
    console.print(table)
    if domain := check.get("domain"):
        usual = f", in ordinary cycles up to {domain['threshold']:.3f}" if domain["threshold"] is not None else ""
        console.print(f"a classifier tells what was served from what was learnt from with an AUC of {domain['auc']:.3f}{usual}")
    console.print(check["url"], soft_wrap=True)


def _tell_watched(console: Console, state: Mapping[str, Any]) -> None:
    """The data faults and the columns that warn, of what the watch of the features has saved."""
    from tidemill.drift import data_faults

    for fault in data_faults(state):
        console.print(f"data fault: {fault}")
    for warning in state.get("active", ()):
        console.print(f"{warning['column']}: {warning['detail']}, since {moment(warning['since_ms'])}")


def parity(
    model: ModelName,
    rows: Annotated[int, typer.Option(min=1, help="How many served vectors to recompute.")] = 1_000,
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Recompute served vectors from the lake at the positions they were read at, and name what differs."""
    from tidemill.learning import check_parity
    from tidemill.stores import wait_for_lake

    workspace = workspace_for(settings_for(project), remember=False)
    served = workspace.predictions.sample(workspace.project.model(model).name, rows, seed=0)
    wait_for_lake(workspace.state)
    found = check_parity(workspace.project.model(model), workspace.lake, served)
    if json_:
        print_json(found)
    else:
        terminal().print(f"{found.checked} vectors recomputed, {len(found.mismatches)} values differ, lag skew {found.lag_skew:.2%}")
        for one in found.mismatches[:50]:
            terminal().print(
                f"  prediction {one.prediction_id} of {one.key}: {one.column} served {one.served}, recomputed {one.recomputed}"
            )
    if found.mismatches:
        raise typer.Exit(1)


def deadletters(
    stream: Annotated[str, typer.Argument(help="The stream's name.")],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many to show, newest first.")] = 20,
    replay: Annotated[bool, typer.Option("--replay", help="Send all of them again that are events by today's project file.")] = False,
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Show the events that were not applied, with the reason; or send them again, e.g. after the schema was mended.

    With --json each is whole, as it was sent. What would only be refused once more is not sent again, but counted.
    """
    from tidemill.streams.log_offset import place_text

    settings = settings_for(project)
    workspace = workspace_for(settings, remember=False)
    letters = workspace.state.dead_letters(workspace.project.stream(stream).name, limit)
    if replay:
        if not letters:
            raise NotReadyError(f"stream {stream!r} has no dead letters")
        _send_again(workspace, stream, workspace.now_ms() if settings.server.replay else wall_ms(), json_)
    elif json_:
        print_json(letters)
    else:
        table = Table("offset", "known at", "reason", "detail", box=None)
        for letter in letters:
            table.add_row(place_text(letter["log_offset"]), moment(letter["known_at_ms"]), letter["reason"], letter["detail"])
        terminal().print(table if letters else f"stream {stream} has no dead letters")


def _send_again(workspace: Workspace, stream: str, now_ms: int, as_json: bool) -> None:
    """Send the dead letters of a stream again, and tell what became of them."""
    from tidemill.project import send_again

    done = send_again(workspace, stream, now_ms)
    acted(workspace, "deadletters --replay", stream, f"{done.sent} sent again")
    if as_json:
        print_json(done)
        return
    left = f"; {', '.join(f'{n} {reason}' for reason, n in sorted(done.left.items()))} would be refused once more" if done.left else ""
    known = f"; {done.known} applied before, or copies" if done.known else ""
    terminal().print(f"{done.sent} sent again, which the engine judges anew{known}{left}")
