"""The command `demo`: the whole loop on a recording."""

from __future__ import annotations

from typing import Annotated

import typer

from tidemill.cli.options import AsJson, ProjectPath, print_json, settings_for


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(demo)


def demo(
    project: ProjectPath = None,
    exit_: Annotated[bool, typer.Option("--exit", help="End when the recording has ended, instead of staying up.")] = False,
    json_: AsJson = False,
    days: Annotated[int, typer.Option(min=8, help="How many days of the recording to replay.")] = 365,
    first_fit: Annotated[int, typer.Option(min=7, help="After how many days the first model is trained.")] = 59,
    drift_from: Annotated[int, typer.Option(help="Act out a change of the world from this day on; -1 for none.")] = -1,
    ask_after: Annotated[
        int, typer.Option(min=0, help="Ask for a retrain by hand so many days after the first promotion; 0 for never.")
    ] = 8,
    reference: Annotated[bool, typer.Option(help="Also measure a model retrained every week (takes minutes).")] = False,
    fresh: Annotated[bool, typer.Option(help="Remove the state of an earlier run first.")] = False,
) -> None:
    """Replay a year of real events through the whole loop: features, predictions, labels, drift, retraining, hot swap."""
    settings = settings_for(project)  # before the import below: Prefect reads its address once, when it is imported
    from tidemill.cli.demo import Plan, run_demo

    changes = drift_from if drift_from >= 0 else None
    plan = Plan(days=days, first_fit=first_fit, drift_from=changes, reference=reference, stay=not exit_, ask_after=ask_after)
    summary = run_demo(settings, plan, fresh=fresh)
    if json_:
        print_json(summary)
