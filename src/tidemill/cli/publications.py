"""`publications`: what is published where, how much of it was, and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.table import Column, Table
from rich.text import Text

from tidemill.cli.moments import moment
from tidemill.cli.options import AsJson, ProjectPath, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal

if TYPE_CHECKING:
    from tidemill.project import Workspace
    from tidemill.stores import PublicationStanding


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(publications)


def publications(project: ProjectPath = None, json_: AsJson = False) -> None:
    """Show what the project publishes: where to, how many messages were sent, how many wait, the last one and the last error.

    Declare it in the project file, e.g. Project(..., publish={"predictions": KafkaTopic("flights.predictions")}); there are predictions,
    alerts and decisions. `tidemill work` publishes them.
    """
    workspace = workspace_for(settings_for(project), remember=False)
    standing = workspace.publications.standing()
    found = {kind: _facts(workspace, kind, standing.get(kind)) for kind in workspace.project.publish}
    if json_:
        print_json({kind: {"to": workspace.project.publish[kind].description, **facts} for kind, facts in found.items()})
        return
    table = Table("what", Column("to", overflow="fold"), "sent", "waiting", "refused", "last sent", "state", box=None)
    for kind, facts in found.items():
        table.add_row(kind, workspace.project.publish[kind].description, *_cells(facts))
    terminal().print(table if found else "the project publishes nothing")


def _facts(workspace: Workspace, kind: str, said: PublicationStanding | None) -> dict[str, object]:
    if said is None:
        return {}
    waiting = workspace.predictions.count_said(said.cursor) if kind == "predictions" else said.kept
    facts = {"sent": said.sent, "waiting": waiting, "refused": said.refused}
    return {**facts, "last_sent_wall_ms": said.last_sent_wall_ms, "last_error": said.last_error}


def _cells(facts: dict[str, object]) -> tuple[Text | str, ...]:
    if not facts:
        return "0", "", "0", "never", Text("not begun; is `tidemill work` running?", style="yellow")
    counts = (f"{facts[name]:,}" for name in ("sent", "waiting", "refused"))
    last = facts["last_sent_wall_ms"]
    when = moment(last, seconds=True) if isinstance(last, int) else "never"
    return *counts, when, Text(str(facts["last_error"]), style="red") if facts["last_error"] else Text("ok")
