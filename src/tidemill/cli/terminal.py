"""The terminal that commands print to."""

from __future__ import annotations

from rich.console import Console


def terminal(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """A console that prints what events, keys and project files say as it stands: no word of theirs is a mark of style.

    Args:
        stderr: what is not the answer goes there.
        soft_wrap: leave it to the terminal to break lines, so that a link or a path is copied whole.

    >>> terminal().print("features of [/x]")
    features of [/x]
    """
    return Console(stderr=stderr, markup=False, highlight=False, soft_wrap=soft_wrap)
