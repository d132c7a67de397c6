"""`views`: the feature registry on the command line, tables among it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from tidemill.cli.moments import moment
from tidemill.cli.options import AsJson, ProjectPath, plain, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal
from tidemill.clock import wall_ms
from tidemill.errors import InputError

if TYPE_CHECKING:
    from tidemill.features import FeatureSource
    from tidemill.project import FeatureRecord, ViewDetail, ViewSummary, Workspace

_TO_FILL = Text("to be filled", style="yellow")


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(views)


def views(
    view: Annotated[str | None, typer.Argument(help="The name of a view or table; all of them when left out.", show_default=False)] = None,
    key: Annotated[
        str | None, typer.Option(help="Also read the values of this key now; several fields joined by commas, e.g. EWR,UA.")
    ] = None,
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """List the views and tables, or describe one: what its features mean, who reads them, how fresh and how complete they are."""
    if key is not None and view is None:
        raise InputError("say of which view: `tidemill views VIEW --key KEY`", where="--key")
    from tidemill.project import describe_view, list_views

    settings = settings_for(project)
    # it only looks, so a definition under work is not held fast by it
    workspace = workspace_for(settings, remember=False)
    if view is None:
        found = list_views(workspace, wall_ms())
        print_json(found) if json_ else _print_list(found)
        return
    wanted = workspace.project.source(view)
    detail = describe_view(workspace, wanted, wall_ms())
    values = None if key is None else _values_now(workspace, wanted, key)
    if json_:
        print_json(plain(detail) | ({} if key is None else {"key": key, "values": values}))
    else:
        _print_detail(detail, key, values)


def _values_now(workspace: Workspace, view: FeatureSource, key: str) -> dict[str, float | str | None]:
    from tidemill.serving import read_features  # not above: MLflow, which it brings, reads its switches once, when it is imported

    return read_features(workspace, view, key, None).values


def _print_list(found: list[ViewSummary]) -> None:
    view = Column("view", no_wrap=True)  # whole even in a narrow terminal: it is what every other command asks for
    table = Table(view, "version", "entity", "stream", "features", "owner", "models", "freshness", "state", box=None)
    for one in found:
        models = ", ".join(one.models) or "-"
        facts = (str(one.version), ",".join(one.entity), one.stream, str(one.n_features), one.owner or "-", models)
        table.add_row(_title(one), *facts, _age(one.freshness_ms), "whole" if one.whole else _TO_FILL)
    console = terminal()
    console.print(table if found else "the project defines no view or table")
    _print_unfilled(console, found)


def _print_detail(detail: ViewDetail, key: str | None, values: dict[str, float | str | None] | None) -> None:
    console = terminal()
    console.print(f"{_title(detail)} version {detail.version}: {detail.description or 'no description'}")
    facts = [
        ("stream", detail.stream),
        ("entity", ",".join(detail.entity)),
        ("owner", detail.owner or "-"),
        ("models", ", ".join(detail.models) or "-"),
        ("freshness", _freshness(detail)),
        ("state", "whole" if detail.whole else "to be filled"),
        ("remembered", ", ".join(_seen(one.version, one.first_seen_ms) for one in detail.versions) or "not yet"),
        ("served lately", f"{detail.n_served:,} vectors" if detail.n_served else "nothing"),
    ]
    about = Table(box=None, show_header=False)
    for name, text in facts:
        about.add_row(name, text)
    console.print(about)
    now = [] if key is None else [f"{key} now"]
    table = Table("feature", "definition", "window", "bucket", "missing", "last served", *now, box=None)
    for one in detail.features:
        read = [] if values is None else [_value(values[one.name])]
        table.add_row(one.name, one.definition, one.window or "-", one.bucket or "-", _rate(one), _values(one), *read)
    console.print(table)
    _print_unfilled(console, [detail])


def _print_unfilled(console: Console, found: list[ViewSummary] | list[ViewDetail]) -> None:
    for one in found:
        if not one.whole:
            console.print(Text(f"{one.kind} {one.name} knows only events since it was declared or changed", style="yellow"))
            console.print(f"`tidemill backfill {one.name}` fills it")


def _title(one: ViewSummary) -> str:
    return one.name if one.kind == "view" else f"{one.name} (table)"


def _freshness(view: ViewSummary) -> str:
    if view.last_event_ms is None:
        return "no event yet"
    newest = moment(view.last_event_ms, seconds=True)
    return f"{_age(view.freshness_ms)} of stream time, {_age(view.wall_age_ms)} of wall time since the newest event ({newest})"


def _seen(version: int, first_seen_ms: int) -> str:
    when = f"from {moment(first_seen_ms)}" if first_seen_ms else "from the beginning"
    return f"version {version} {when}"


def _rate(feature: FeatureRecord) -> str:
    return "-" if feature.missing_rate is None else f"{feature.missing_rate:.1%}"


def _values(feature: FeatureRecord) -> str:
    return ", ".join(map(_value, feature.last_values)) or "-"


def _value(value: float | str | None) -> str:
    return "missing" if value is None else value if isinstance(value, str) else f"{value:g}"


def _age(ms: int | None) -> str:
    from tidemill.ui.formats import age  # not above: the page brings a web framework that no other command needs

    return age(ms)
