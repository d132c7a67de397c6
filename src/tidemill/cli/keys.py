"""`keys create`, `keys list` and `keys revoke`: who may call the API and see the page."""

from __future__ import annotations

from getpass import getuser
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tidemill.cli.acts import acted
from tidemill.cli.moments import moment
from tidemill.cli.options import AsJson, ProjectPath, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal
from tidemill.clock import duration_ms, wall_ms
from tidemill.errors import InputError

if TYPE_CHECKING:
    from tidemill.stores import ApiKey

commands = typer.Typer(
    no_args_is_help=True,
    help="API keys: who may send events, ask models, look, and operate. They are kept with the project's state; only hashes of them are.",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="keys")


@commands.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is called: the program or person that will hold it.")],
    scope: Annotated[
        list[str],
        typer.Option(help="What it may do; repeat it. ingest: send events. predict: ask models. read: see all. operate: change things."),
    ],
    for_: Annotated[str, typer.Option("--for", help="After which time it ends by itself, e.g. 90d; never when left out.")] = "",
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Make a key and show it, this once: what is kept does not tell it. Programs send it as `Authorization: Bearer KEY`."""
    from tidemill.stores import ApiKey
    from tidemill.stores.api_key import check_name, check_scopes, hash_of, new_text, prefix_of

    workspace, now_ms = workspace_for(settings_for(project)), wall_ms()
    text = new_text()
    until_ms = now_ms + _lasting_ms(for_) if for_ else None
    key = ApiKey(prefix_of(text) or "", check_name(name), check_scopes(scope), workspace.project.name, getuser(), now_ms, until_ms)
    workspace.keys.add(key, hash_of(text))
    acted(workspace, "keys create", name, f"{key.prefix}: {', '.join(key.scopes)}")
    if json_:
        print_json({"key": text, **_facts(key, now_ms)})
        return
    terminal(stderr=True).print(f"{name} may {', '.join(key.scopes)}. The key is shown this once:")
    typer.echo(text)


@commands.command("list")
def list_(project: ProjectPath = None, json_: AsJson = False) -> None:
    """List every key there ever was: what it may do, who made it, whether it stands. None of them can be shown again."""
    workspace, now_ms = workspace_for(settings_for(project), remember=False), wall_ms()
    keys = workspace.keys.all()
    if json_:
        print_json([_facts(key, now_ms) for key in keys])
        return
    table = Table("name", "prefix", "may", "made", "by", "stands", box=None)
    for key in keys:
        table.add_row(key.name, f"tm_{key.prefix}", ", ".join(key.scopes), moment(key.made_wall_ms), key.made_by, _standing(key, now_ms))
    terminal().print(table if keys else "no key yet; `tidemill keys create NAME --scope read` makes one")


@commands.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Its name or prefix, as `tidemill keys list` shows them.")],
    project: ProjectPath = None,
) -> None:
    """End a key, and whoever has signed in with it. Every server notices within seconds."""
    workspace = workspace_for(settings_for(project))
    ended = workspace.keys.revoke(key.removeprefix("tm_"), getuser(), wall_ms())
    acted(workspace, "keys revoke", ended.name, ended.prefix)
    terminal().print(f"{ended.name} (tm_{ended.prefix}) is revoked")


def _lasting_ms(text: str) -> int:
    try:
        return duration_ms(text)
    except ValueError as error:
        raise InputError(str(error), where="--for") from error


def _facts(key: ApiKey, now_ms: int) -> dict[str, object]:
    return {
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "made_by": key.made_by,
        "made_wall_ms": key.made_wall_ms,
        "until_wall_ms": key.until_wall_ms,
        "revoked_by": key.revoked_by,
        "revoked_wall_ms": key.revoked_wall_ms,
        "stands": key.stands(now_ms),
    }


def _standing(key: ApiKey, now_ms: int) -> str:
    if key.revoked_by and key.revoked_wall_ms is not None:
        return f"no: revoked by {key.revoked_by}, {moment(key.revoked_wall_ms)}"
    if key.until_wall_ms is None:
        return "yes"
    return f"until {moment(key.until_wall_ms)}" if key.stands(now_ms) else f"no: ended {moment(key.until_wall_ms)}"
