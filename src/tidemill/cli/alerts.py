"""`alerts`: what was raised and how it stands; `alerts ack`, `silence`, `unsilence` and `test`."""

from __future__ import annotations

from dataclasses import asdict
from getpass import getuser
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tidemill.cli.acts import acted
from tidemill.cli.moments import moment
from tidemill.cli.options import AsJson, ProjectPath, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal
from tidemill.clock import wall_ms

if TYPE_CHECKING:
    from tidemill.stores import AlertRecord, Silence

_COLOURS = {"info": "", "warning": "yellow", "critical": "red"}
_HOW_TO_SET = """no channel is set, so alerts go into the log; set one, e.g. TIDEMILL_ALERTS__URLS='["json://127.0.0.1:9000/"]'"""

commands = typer.Typer(invoke_without_command=True)
Subject = Annotated[str, typer.Argument(help="A model's name; or that of a stream, reaction or publication.")]
Kind = Annotated[str, typer.Option(help="Only this kind, e.g. windows; every kind when left out.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="alerts")


@commands.callback()
def show(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only those of this model, stream, reaction or publication.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 30,
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Show alerts, newest first: what was found, whether it goes on, how its delivery stands, and the silences.

    Several of one model and kind go out as one message; after it a cooldown (TIDEMILL_ALERTS__COOLDOWN) holds the next ones back, which
    then come as a summary. Channels are those of TIDEMILL_ALERTS__URLS.
    """
    if context.invoked_subcommand is not None:
        return
    workspace = workspace_for(settings_for(project), remember=False)
    records, silences = workspace.alerts.recent(model, limit), workspace.alert_silences.standing(wall_ms())
    if json_:
        print_json({"alerts": [_facts(record) for record in records], "silences": silences})
        return
    console = terminal()
    for silence in silences:
        console.print(_silence_line(silence), style="yellow")
    for record in records:
        _print_alert(console, record)
    if not records:
        console.print("no alert yet")


@commands.command()
def ack(
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="The keys of alerts, as `tidemill alerts` shows them.")],
    project: ProjectPath = None,
) -> None:
    """Say that you know: nothing more is told of what these alerts are about, until it is over. Your name and the time are kept."""
    workspace = workspace_for(settings_for(project))
    count = workspace.alerts.acknowledge(keys, getuser(), wall_ms())
    acted(workspace, "alerts ack", " ".join(keys), f"{count} acknowledged")
    terminal().print(f"{count} acknowledged by {getuser()}" if count else "all of them had been acknowledged before")


@commands.command()
def silence(
    model: Subject,
    for_: Annotated[str, typer.Option("--for", help="How long, on the clock of the wall, e.g. 8h, 45min, 2d.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever wonders.")],
    kind: Kind = "",
    project: ProjectPath = None,
) -> None:
    """Tell nobody of a model's alerts for a while. They are kept; what still goes on when the silence is over is told then."""
    from tidemill.loop import SilenceAsked, silence

    workspace = workspace_for(settings_for(project))
    begun = silence(workspace, SilenceAsked(model, kind, for_, reason, getuser()), wall_ms())
    acted(workspace, "alerts silence", model, f"{kind or 'everything'} for {for_}: {reason}")
    terminal().print(f"{_silence_line(begun)}; `tidemill alerts unsilence {model}` ends it")


@commands.command()
def unsilence(model: Subject, kind: Kind = "", project: ProjectPath = None) -> None:
    """End the silences of a model, or those of one kind."""
    from tidemill.loop import end_silence

    workspace = workspace_for(settings_for(project))
    ended = end_silence(workspace, model, kind, getuser(), wall_ms())
    acted(workspace, "alerts unsilence", model, kind or "everything")
    terminal().print(f"{len(ended)} ended; what still goes on is told now")


@commands.command()
def test(project: ProjectPath = None, json_: AsJson = False) -> None:
    """Send a message to every channel and say which of them took it. Fails if one did not."""
    from tidemill.loop import AlertText, open_channels

    settings = settings_for(project)
    text = AlertText("A test of tidemill", f"Alerts come this way; see {settings.public_url}/#alerts", "info")
    found = [(channel, channel.send(text)) for channel in open_channels(settings.alerts.urls)]
    if json_:
        print_json([{"channel": channel.name, "severity": channel.severity, "error": error} for channel, error in found])
    elif not found:
        terminal().print(_HOW_TO_SET)
    else:
        table = Table("channel", "least severity", "sent", box=None)
        for channel, error in found:
            table.add_row(channel.name, channel.severity, Text(error, style="red") if error else Text("yes", style="green"))
        terminal().print(table)
    if any(error for _, error in found):
        raise typer.Exit(1)


def _facts(record: AlertRecord) -> dict[str, Any]:
    facts = asdict(record)
    alert = facts.pop("alert")
    return {**alert, "kind": record.alert.kind, "delivery": record.delivery, **facts, "channels": sorted(record.channels)}


def _print_alert(console: Console, record: AlertRecord) -> None:
    """When and what, how it stands, and its key on a line of its own, so that it is copied whole from the narrowest terminal."""
    alert = record.alert
    what = f"{alert.title}: {alert.body}" + (f" ({alert.harm})" if alert.harm else "")
    console.print(Text.assemble(moment(alert.at_ms), "  ", (alert.severity, _COLOURS[alert.severity]), "  ", what))
    known = f", known to {record.acked_by}" if record.acked_by else ""
    delivery = record.delivery + (f" until {moment(record.held_until_ms)}" if record.delivery == "held" else "")
    said = (f"{delivery} {record.last_error}".strip(), "red" if record.last_error else "")
    console.print(Padding(Text.assemble(_goes_on(record) + known, "; delivery: ", said), (0, 0, 0, 2)))
    console.print(f"  {alert.key}", style="dim", soft_wrap=True)


def _goes_on(record: AlertRecord) -> str:
    if record.ended_at_ms is not None:
        return f"over since {moment(record.ended_at_ms)}"
    return "goes on" if record.alert.condition else "happened once"


def _silence_line(silence: Silence) -> str:
    what = f"{silence.model}, {silence.kind}" if silence.kind else silence.model
    return f"{what} is silenced by {silence.by} until {moment(silence.until_wall_ms)}: {silence.reason}"
