"""A home opens while somebody writes to each of its databases, or stands still there: who only looks waits for nobody."""

from __future__ import annotations

from contextlib import ExitStack, closing

from sqlalchemy import MetaData

from tests import tiny
from tidemill.project import Workspace
from tidemill.stores import Databases
from tidemill.stores.databases import NAMES
from tidemill.stores.file_lock import file_lock


def test_a_home_opens_beside_whoever_writes_and_stands_still(databases: Databases) -> None:
    with closing(Workspace.open(tiny.project, databases.home, database=databases.url)) as workspace:
        tiny.live(workspace, 0, 1)
        books = workspace.books()
    with ExitStack() as held:
        for name in NAMES:
            engine = databases.open(name, MetaData())
            held.callback(engine.dispose)
            held.enter_context(engine.begin())
        if databases.url is None:
            held.enter_context(file_lock(databases.home / "state.tables" / "writer.lock"))
        with closing(Workspace.open(tiny.project, databases.home, database=databases.url, remember=False)) as looking:
            assert looking.books() == books
