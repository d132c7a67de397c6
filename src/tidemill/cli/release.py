"""The command `release`: try a version on live traffic before it is the champion."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from tidemill.cli.operate import call
from tidemill.cli.options import AsJson, ModelName, ProjectPath, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal
from tidemill.errors import InputError


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(release)


def release(
    model: ModelName,
    shadow: Annotated[int | None, typer.Option(help="Let this version score every question beside the champion, and answer none.")] = None,
    canary: Annotated[int | None, typer.Option(help="Let this version answer the questions of a share of keys, always the same.")] = None,
    percent: Annotated[
        float | None,
        typer.Option(help="The canary's share of keys, 5 unless said or set before; raise it and the keys it has stay its own."),
    ] = None,
    replace: Annotated[
        int | None,
        typer.Option(help="The version that is tried so by now, and makes room for this one; else a trial is not ended."),
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="End shadow and canary: the champion answers everything.")] = False,
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Show what serves and what is tried beside it; try a version as shadow or canary, or end that. The server must be up.

    What is tried is held against the champion on the outcomes that are known. `tidemill promote` makes it the champion,
    `tidemill rollback` goes back.
    """
    if sum((shadow is not None, canary is not None, end)) > 1:
        raise InputError("say one of --shadow, --canary and --end", where="release")
    if percent is not None and canary is None:
        raise InputError("it is a canary's; say --canary VERSION too", where="--percent")
    if replace is not None and shadow is None and canary is None:
        raise InputError("say by which version, as --shadow VERSION or --canary VERSION", where="--replace")
    settings = settings_for(project)
    path = f"/v1/models/{workspace_for(settings).project.model(model).name}/release"
    if end:
        told = call(settings, "DELETE", path)
    elif shadow is not None or canary is not None:
        asked = {"shadow": shadow, "canary": canary, "percent": percent, "replace": replace}
        told = call(settings, "POST", path, json.dumps(asked).encode())
    else:
        told = call(settings, "GET", path)
    if json_:
        print_json(told)
        return
    show(told)


def show(told: dict[str, Any]) -> None:
    """What serves, and each trial beside the champion."""
    console = terminal()
    console.print("  ".join(f"{alias} v{version}" for alias, version in sorted(told["aliases"].items())))
    for trial in told["trials"]:
        share = f" {trial['percent']:g} % of the keys" if trial["role"] == "canary" else ""
        drawn = f", of one question in {trial['one_in']:,}" if trial["one_in"] > 1 else ""
        console.print(f"{trial['role']} v{trial['version']}{share}: {trial['n_outcomes']:,} outcomes{drawn}")
        if trial["figures"]:
            table = Table("", trial["role"], "champion", box=None)
            for name, value in trial["figures"].items():
                other = trial["champion"].get(name)
                table.add_row(name, f"{value:.4f}", "" if other is None else f"{other:.4f}")
            console.print(table)
