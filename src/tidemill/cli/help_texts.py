"""The help of commands: their docstrings, whose lines end where code ends them, broken where the terminal does."""

from __future__ import annotations

from inspect import getdoc

import typer


def unwrap_help(app: typer.Typer) -> None:
    """Have the help of every command, those of groups too, be its docstring's paragraphs, each on one line."""
    for command in app.registered_commands:
        command.help = unwrapped(getdoc(command.callback) or "")
    if app.registered_callback is not None:
        app.registered_callback.help = unwrapped(getdoc(app.registered_callback.callback) or "")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            unwrap_help(group.typer_instance)


def unwrapped(text: str) -> str:
    """Each paragraph on one line.

    >>> unwrapped("Send events.\\n\\nThey are kept,\\nall of them.")
    'Send events.\\n\\nThey are kept, all of them.'
    """
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
