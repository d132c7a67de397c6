"""`tidemill`: the command line. Each command is a function here; what it does lies in the modules beside."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from tidemill.cli import (
    acts,
    alerts,
    audit,
    backup,
    demo_command,
    forget,
    importing,
    init,
    keys,
    operate,
    publications,
    quality,
    reactions,
    read,
    release,
    run,
    sources,
    views,
)
from tidemill.cli.help_texts import unwrap_help
from tidemill.cli.logs import log_to_stderr
from tidemill.errors import TidemillError

app = typer.Typer(
    name="tidemill",
    help="Real-time machine learning that a small team can run: fresh features, a served model, watched drift, guarded retraining.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
_MODULES = (
    init,
    run,
    demo_command,
    read,
    audit,
    quality,
    sources,
    views,
    reactions,
    publications,
    alerts,
    operate,
    release,
    importing,
    acts,
    keys,
    backup,
    forget,
)
for module in _MODULES:
    module.add_to(app)
unwrap_help(app)


def main() -> None:
    """Run a command; an error of ours is one line on stderr and exit code 1."""
    log_to_stderr()
    try:
        app()
    except TidemillError as error:
        Console(stderr=True).print("[red]error[/red]", escape(str(error)), soft_wrap=True, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
