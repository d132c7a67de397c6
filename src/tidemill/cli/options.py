"""Options that many commands share, and what they open."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidemill.cli.environment import adopt_environ
from tidemill.cli.logs import write_lines
from tidemill.settings import Settings, read_settings

if TYPE_CHECKING:
    from tidemill.project import Workspace

ProjectPath = Annotated[
    Path | None,
    typer.Option(
        "--project", help="The project file. [default: project.py of this folder, else examples/flights/project.py]", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of text for a person.")]
ModelName = Annotated[str, typer.Argument(help="The model's name in the project, e.g. late_arrival.")]


def settings_for(project: Path | None) -> Settings:
    """The settings, with the project that an option names; the environment of this process follows them."""
    settings = read_settings()
    if project is not None:
        settings = settings.model_copy(update={"project": project})
    write_lines(settings.telemetry.logs)
    adopt_environ(settings)
    return settings


def workspace_for(settings: Settings, *, remember: bool = True) -> Workspace:
    """The workspace of the settings' project; who only looks does not `remember`, so that a view under work may still change."""
    from tidemill.project import Workspace, load_project

    return Workspace.open(
        load_project(settings.project),
        settings.home,
        database=settings.database_url,
        log=settings.log,
        durable_log=not settings.server.replay,
        remember=remember,
    )


def print_json(value: Any) -> None:
    """One JSON value on stdout."""
    typer.echo(json.dumps(plain(value), default=str))


def plain(value: Any) -> Any:
    """Dataclasses as dictionaries, all the way down."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
