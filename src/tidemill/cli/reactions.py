"""`reactions`: what is done when events say so, how often it was, and what waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from tidemill.cli.options import AsJson, ProjectPath, plain, print_json, settings_for, workspace_for
from tidemill.cli.rows import Rows
from tidemill.cli.terminal import terminal
from tidemill.clock import duration_ms, duration_text

if TYPE_CHECKING:
    from tidemill.features import Reaction
    from tidemill.stores import ReactionStanding

_NAMES = ("reaction", "stream", "when", "once per", "does", "matches", "sent", "waiting", "given up", "last error")
_NOT_BEGUN = "not begun; is `tidemill work` running?"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reactions)


def reactions(project: ProjectPath = None, json_: AsJson = False) -> None:
    """Show the project's reactions: the condition, what is done, how many events met it, what was sent, what waits and why.

    Declare one in the project file: on(orders, name="big", when=col("amount") > 1000, run="investigate/orders"), and list it in
    Project(..., reactions=[big]). `tidemill work` carries them out.
    """
    workspace = workspace_for(settings_for(project), remember=False)
    standing, declared = workspace.reactions.standing(), workspace.project.reactions
    if json_:
        print_json({reaction.name: _facts(reaction) | _figures(reaction, standing) for reaction in declared})
        return
    rows = [(*_facts(reaction).values(), *_cells(standing.get(reaction.name))) for reaction in declared]
    terminal().print(Rows(_NAMES, rows) if declared else "the project declares no reaction")


def _facts(reaction: Reaction) -> dict[str, str]:
    within = "" if reaction.within is None else f" within {duration_text(duration_ms(reaction.within))}"
    return {
        "name": reaction.name,
        "stream": reaction.stream.name,
        "when": reaction.when.text,
        "once_per": ", ".join(reaction.once_fields) + within,
        "does": reaction.target,
    }


def _figures(reaction: Reaction, standing: Mapping[str, ReactionStanding]) -> dict[str, object]:
    return dict(plain(standing[reaction.name])) if reaction.name in standing else {}


def _cells(said: ReactionStanding | None) -> tuple[Text | str, ...]:
    if said is None:
        return "0", "0", "0", "0", Text(_NOT_BEGUN, style="yellow")
    counts = (said.matches, said.sent, said.waiting, said.given_up)
    return *(f"{count:,}" for count in counts), Text(said.last_error, style="red")
