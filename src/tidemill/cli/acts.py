"""`acts`: what people and programs have done to the system; and how the command line writes its own acts down."""

from __future__ import annotations

from getpass import getuser
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from tidemill.cli.moments import moment
from tidemill.cli.options import AsJson, ProjectPath, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal
from tidemill.clock import wall_ms

if TYPE_CHECKING:
    from tidemill.project import Workspace


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(acts)


def acts(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Show what people and programs did, newest first: who retrained, promoted, froze, silenced, acknowledged, made or revoked a key."""
    found = workspace_for(settings_for(project), remember=False).acts.recent(limit)
    if json_:
        print_json(found)
        return
    table = Table("when", "by", "via", "act", Column("about", overflow="fold"), Column("detail", overflow="fold"), "status", box=None)
    for one in found:
        when = moment(one.wall_ms, seconds=True)
        table.add_row(when, one.by, one.via, one.act, one.about, one.detail, str(one.status or ""))
    terminal().print(table if found else "nothing yet")


def acted(workspace: Workspace, act: str, about: str, detail: str = "") -> None:
    """Write down what this command does, by the name of its user."""
    from tidemill.stores import Act

    workspace.acts.record(Act(getuser(), "cli", act, about, detail, wall_ms()))
