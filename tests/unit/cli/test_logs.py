"""Log lines beside a progress display."""

from __future__ import annotations

import io
import logging

from rich.console import Console
from rich.live import Live

from tidemill.cli.logs import CurrentStderr


def test_a_line_logged_while_a_display_is_up_stands_above_it() -> None:
    screen = io.StringIO()
    logger = logging.Logger("a test")
    logger.addHandler(CurrentStderr())
    with Live("wall 12 s", console=Console(file=screen, force_terminal=True, width=80), auto_refresh=False) as live:
        logger.warning("an alert was delivered")
        live.refresh()
    assert "an alert was delivered\n" in screen.getvalue()
    assert "wall 12 san alert" not in screen.getvalue()
