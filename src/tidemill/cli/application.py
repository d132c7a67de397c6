"""The application of `tidemill serve`, made in each of its processes."""

from __future__ import annotations

import os
import signal
import socket
import sys
from multiprocessing import parent_process
from threading import Thread
from typing import TYPE_CHECKING

from tidemill.cli.ending import end_in_time
from tidemill.cli.logs import log_to_stderr
from tidemill.cli.options import settings_for, workspace_for
from tidemill.errors import TidemillError

if TYPE_CHECKING:
    from fastapi import FastAPI

_SWITCH_S = 0.0005  # the loop gives its lock up at each step of a transaction; one busy thread then has it for this long, not for 5 ms


def make_app() -> FastAPI:
    """The API and the page of the project that this process's settings name."""
    log_to_stderr()  # where this is a process of its own
    _end_with_parent()
    try:
        return _made()
    except TidemillError as error:
        if parent_process() is None:
            raise
        sys.exit(f"error {error}")  # one line, as of every command


def _made() -> FastAPI:
    settings = settings_for(None)  # before the imports below: MLflow reads its switches once, when it is imported

    from tidemill.heap import settle_heap
    from tidemill.registry import Registry
    from tidemill.serving import Champions, Keyring, create_app, end_before
    from tidemill.ui import InWords, OverviewReader, Shown, alert_router, login_router, model_router, page_router, watch_page

    workspace, server = workspace_for(settings), settings.server
    champions = Champions(
        workspace, Registry(settings.mlflow_uri, workspace.home, settings.pyfunc), f"{socket.gethostname()}:{os.getpid()}"
    )
    reader, keyring = OverviewReader(workspace, settings), Keyring(workspace.keys)
    shown = Shown()
    changes = watch_page(workspace, reader, shown)
    pages = page_router(reader.read, changes, shown)
    pages.include_router(alert_router(workspace, reader.forget))
    pages.include_router(model_router(workspace, champions.registry, reader.forget))
    if not server.open:
        pages.include_router(login_router(keyring))
    app = create_app(workspace, settings, champions, pages, None if server.open else keyring)
    app.add_middleware(InWords)
    end_before(app, changes.end)
    end_in_time(app)
    if workspace.project.models:
        champions.registry.get_ready()
    settle_heap()
    sys.setswitchinterval(_SWITCH_S)
    return app


def _end_with_parent() -> None:
    """Where this is one of several processes, end when the one that started it is gone: nobody would end it, and the port stays taken."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, name="parent", daemon=True).start()
