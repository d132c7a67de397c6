"""What the page needs to be live: how a look is taken anew, and when it is worth taking."""

from __future__ import annotations

from tidemill.clock import NowMs, wall_ms
from tidemill.project import Workspace
from tidemill.ui.changes import Changes
from tidemill.ui.overview import OverviewReader
from tidemill.ui.parts import Marks, Shown
from tidemill.ui.store_signs import read_signs


def watch_page(workspace: Workspace, reader: OverviewReader, shown: Shown, now_wall_ms: NowMs = wall_ms) -> Changes:
    """The watcher of a page.

    Args:
        workspace: whose signs are watched.
        reader: of the overview, whose look the browsers then get too.
        shown: what is made of a look.
        now_wall_ms: the wall clock.
    """

    def look() -> Marks:
        reader.forget()  # a look that was shared a moment ago may be older than the change
        marks: Marks = shown.of(reader.read())["marks"]
        return marks

    return Changes(look, lambda: read_signs(workspace, now_wall_ms()))
