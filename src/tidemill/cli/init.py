"""The command `init`: a new project from a template, on a CSV file of one's own or on made-up orders."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.table import Table

from tidemill.cli.terminal import terminal
from tidemill.clock import DAY_MS, duration_ms, wall_ms
from tidemill.errors import InputError


class Template(StrEnum):
    """What a new project has."""

    MODEL = "model"
    FEATURES = "features"


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(init)


def init(
    folder: Annotated[Path, typer.Argument(help="The folder to make; its name is the project's.")] = Path("shop"),
    template: Annotated[
        Template, typer.Option(help="model: features, and a model of an outcome. features: features alone, for data without an outcome.")
    ] = Template.MODEL,
    from_: Annotated[
        Path | None, typer.Option("--from", help="A CSV file of your own, a row an event. Left out, orders of a shop are made up.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="The column that events are about: a customer, a card, a machine. Repeat it for several.")
    ] = None,
    time: Annotated[str, typer.Option(help="The column that says when an event happened.")] = "",
    label: Annotated[str, typer.Option(help="The column with the outcome, which the model is to predict.")] = "",
    label_time: Annotated[str, typer.Option(help="The column that says when the outcome was known, where there is one.")] = "",
    outcome_after: Annotated[str, typer.Option(help="Else: how long after the event it is known, e.g. 12h.")] = "1d",
    event_id: Annotated[str, typer.Option("--id", help="The column that names an event; no two rows share a value.")] = "",
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="A column to leave out, e.g. one that is known only with the outcome. Repeat it for several."),
    ] = None,
) -> None:
    """Make a new project that runs at once: project file, README, test, .gitignore and a history.

    With --from the columns of a CSV file are looked at: which says when, which is the key, the id, the outcome, a number or a category.
    What cannot be guessed is an error that names the choices and the option; what was guessed is printed, and stands in the README.
    """
    from tidemill.cli.starting import Asked, Start, describe, find_roles, read_sample, write_orders, write_project

    _check_duration(outcome_after)
    asked = Asked(tuple(key or ()), time, label, label_time, event_id, tuple(ignore or ()))
    with TemporaryDirectory() as made:
        if from_ is None:
            file = Path(made) / "orders.csv"
            write_orders(file, wall_ms() // DAY_MS * DAY_MS)
        else:
            file = from_
        sample = read_sample(file)
        roles = find_roles(sample, asked, wants_label=template is Template.MODEL)
        start = Start(folder, sample, roles, outcome_after, is_own=from_ is not None)
        files = write_project(start)
    console = terminal()
    table = Table("column", "is", box=None)
    for header, what in describe(start).items():
        table.add_row(header, what.replace("`", ""))
    console.print(table)
    for note in roles.notes:
        console.print(f"note: {note}", soft_wrap=True)
    console.print(f"\nwritten: {', '.join(str(path) for path in files)}", soft_wrap=True)
    if start.name != folder.resolve().name:
        console.print(f"note: the project is called {start.name}, since names are of small letters, digits and underscores", soft_wrap=True)
    there = "" if folder.resolve() == Path.cwd() else f"cd {quote(str(folder))}, and "
    console.print(f"next: {there}{_next(start.days, start.first_fit, template)}; README.md goes on from there", soft_wrap=True)


def _next(days: int, first_fit: int, template: Template) -> str:
    rehearsal = template is Template.MODEL and days
    return f"tidemill demo --days {days} --first-fit {first_fit}" if rehearsal else "tidemill up --open"


def _check_duration(text: str) -> None:
    try:
        duration_ms(text)
    except ValueError as error:
        raise InputError(str(error), where="--outcome-after") from error
