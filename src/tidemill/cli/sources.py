"""`sources`: where each stream's events come from, and how their copies are doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.table import Column, Table
from rich.text import Text

from tidemill.cli.moments import moment
from tidemill.cli.options import AsJson, ProjectPath, plain, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal
from tidemill.clock import SECOND_MS, wall_ms

if TYPE_CHECKING:
    from tidemill.stores import Standing

_SILENT_S = 15


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(sources)


def sources(project: ProjectPath = None, json_: AsJson = False) -> None:
    """Show the source of each stream: how many events were copied, the rate, what waits, the last event and the last error.

    Sources are copied by `tidemill work`, or once by the flow `ingest`. Declare one in the project file, e.g.
    Stream("orders", ..., source=Files("incoming/*.csv")).
    """
    workspace = workspace_for(settings_for(project), remember=False)
    standing = workspace.log.sources.standing()
    found = [(stream, standing.get(stream.name)) for stream in workspace.project.streams]
    if json_:
        print_json({stream.name: {"source": stream.source and stream.source.description, **_plain(said)} for stream, said in found})
        return
    table = Table("stream", Column("source", overflow="fold"), "copied", "a second", "waiting", "last event", "state", box=None)
    for stream, said in found:
        if stream.source is None:
            table.add_row(stream.name, f"HTTP: POST /v1/streams/{stream.name}/events")
        elif workspace.log.holds(stream.source):
            table.add_row(stream.name, stream.source.description, "it is the log, nothing is copied")
        else:
            table.add_row(stream.name, stream.source.description, *_cells(said, wall_ms()))
    terminal().print(table)


def _plain(said: Standing | None) -> dict[str, object]:
    return {} if said is None else {name: value for name, value in plain(said).items() if name != "stream"}


def _cells(said: Standing | None, now_ms: int) -> tuple[Text | str, ...]:
    """Events copied, events a second, events waiting, the last one, and whether all is well."""
    if said is None:
        return "0", "", "", "never", Text("not begun; is `tidemill work` running?", style="yellow")
    last = moment(said.last_ms, seconds=True)
    rate = "" if said.events_per_s is None else f"{said.events_per_s:,.0f}"
    return f"{said.events:,}", rate, "" if said.lag is None else f"{said.lag:,}", last, _state(said, now_ms)


def _state(said: Standing, now_ms: int) -> Text:
    if said.error is not None:
        return Text(said.error, style="red")
    silent_s = (now_ms - (said.told_ms or 0)) // SECOND_MS
    return Text("ok") if silent_s <= _SILENT_S else Text(f"not heard of for {silent_s} s; is `tidemill work` running?", style="yellow")
