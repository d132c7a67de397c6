"""`forget`: delete one entity's events and all that was made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tidemill.cli.acts import acted
from tidemill.cli.options import AsJson, ProjectPath, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal

if TYPE_CHECKING:
    from tidemill.project import Forgotten
    from tidemill.stores import Entity


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(forget)


def forget(
    field: Annotated[str, typer.Argument(help="The field that names the entity, e.g. card.")],
    value: Annotated[str, typer.Argument(help="What it holds, e.g. 4711.")],
    yes: Annotated[bool, typer.Option("--yes/--dry-run", help="Delete; else only look, and report what there is.")] = False,
    topic_keeps: Annotated[
        bool,
        typer.Option(
            "--topic-keeps",
            help="With the log in Kafka: I know that its topics keep the events; delete everywhere else and report what stays.",
        ),
    ] = False,
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Delete an entity's events in log and lake, and what was made of them: tiles, ids, predictions, outcomes, cached values.

    End the engine first (`tidemill up`, `tidemill work`). Killed in between, run it again: it completes. Books stay as they are.
    """
    from tidemill.project import forget_entity, look_for_entity
    from tidemill.stores import Entity

    workspace, entity = workspace_for(settings_for(project), remember=False), Entity(field, value)
    try:
        if yes:
            console = terminal(stderr=True)
            with console.status("") as status:
                found = forget_entity(workspace, entity, status.update, topic_keeps=topic_keeps)
            acted(workspace, "forget", field, f"{sum(found.log.values())} events")  # whose stays unsaid: it was to be forgotten
        else:
            found = look_for_entity(workspace, entity)
    finally:
        workspace.close()
    if json_:
        print_json(found)
    else:
        _print(found, entity)


def _print(found: Forgotten, entity: Entity) -> None:
    console = terminal(soft_wrap=True)
    console.print(f"{entity.field} {entity.value}: {'deleted' if found.done else 'found, and nothing deleted yet'}")
    rows = {
        "events in the log": found.log,
        "dead letters among them": found.dead_letters,
        "events in the lake": found.lake,
        "outcomes": found.outcomes,
        "predictions": found.predictions,
        "keys": found.keys,
        "matches of reactions": found.reactions,
    }
    for what, counts in rows.items():
        console.print(f"  {what:<24} {', '.join(f'{count:,} of {name}' for name, count in counts.items() if count) or 'none'}")
    if found.cached:
        console.print(f"  {found.cached} files of values cached for training, with those of others")
    if found.built_anew:
        console.print(f"  tiles, rows and ids were built anew from {found.built_anew:,} events")
    _print_remains(found, console)
    if not found.done:
        console.print(f"add --yes{' --topic-keeps' if found.topics else ''} to delete it, with the engine ended")


def _print_remains(found: Forgotten, console: Console) -> None:
    if not found.searched:
        console.print("the value is too short to search files for it")
    elif not found.remains:
        console.print("it remains nowhere else in the home" if not found.done else "it is nowhere in the home any more")
    for keeps in found.topics:
        console.print(f"  remains: topic {keeps.topic} ({keeps.events:,} events) {keeps.until}")
        console.print(f"    kafka-delete-records.sh deletes them, and all before them, with {keeps.cut_json}")
    for remain in found.remains:
        console.print(f"  remains: {remain.where} ({remain.files} files): {remain.why}")
    console.print("not touched: backups, sources outside the home, and what others keep of it. An event that is sent again is a new one")
