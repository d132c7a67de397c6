"""The page on a server of its own, over a ferry line that has seen everything."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Page

from tests.held import name_versions
from tests.unit.ui.ferry import PROMOTED, START_MS, Ferry
from tidemill.clock import DAY_MS, HOUR_MS, wall_ms
from tidemill.registry import Registry
from tidemill.serving import EndingServer
from tidemill.serving.guards import Guards
from tidemill.settings import Settings
from tidemill.stores import Alert
from tidemill.ui import Changes, Overview, OverviewReader, Shown, alert_router, model_router, page_router
from tidemill.ui.parts import Marks
from tidemill.ui.store_signs import read_signs


@dataclass
class Heard:
    """What the browser asked for and complained about."""

    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, page: Page) -> Heard:
        """Begin to listen."""
        heard = cls()
        page.on("request", lambda request: heard.hosts.add(urlsplit(request.url).hostname or request.url))
        page.on("console", lambda message: heard.complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: heard.complaints.append(str(error)))
        return heard


@dataclass
class Server:
    """An application on a port of its own."""

    server: uvicorn.Server
    thread: threading.Thread
    url: str

    @classmethod
    def of(cls, app: FastAPI, before_end: Callable[[], None]) -> Server:
        """Serve it."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # so that a browser that is faster than the thread waits instead of being refused
        server = EndingServer(uvicorn.Config(app, log_level="critical", lifespan="off"), before_end)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        return cls(server, thread, f"http://127.0.0.1:{listener.getsockname()[1]}/")

    def stop(self) -> None:
        """End it."""
        self.server.should_exit = True
        self.thread.join(120)
        assert not self.thread.is_alive(), "a page that listens must not keep a server from ending"


@dataclass
class Site:
    """The page under test, and a switch that breaks its stores."""

    ferry: Ferry
    server: Server
    changes: Changes
    broken: bool = False

    @property
    def url(self) -> str:
        """Its address."""
        return self.server.url

    @classmethod
    def open(cls, home: Path, registry: Registry | None = None) -> Site:
        """The page over a line that nothing has happened on; its registry is away where none is given."""
        ferry = Ferry.open(home)
        reader, shown = OverviewReader(ferry.workspace, Settings()), Shown()
        site: list[Site] = []

        def read() -> Overview:
            if site and site[0].broken:
                raise OSError("unable to open the database file")
            return reader.read()

        def look() -> Marks:
            reader.forget()
            marks: Marks = shown.of(read())["marks"]
            return marks

        changes = Changes(look, lambda: (bool(site and site[0].broken), read_signs(ferry.workspace, wall_ms())))
        acts = model_router(ferry.workspace, registry or Registry("http://127.0.0.1:9", home), reader.forget)
        app = FastAPI()
        app.add_middleware(Guards, max_body_bytes=4_000_000)
        for router in (page_router(read, changes, shown), alert_router(ferry.workspace, reader.forget), acts):
            app.include_router(router)
        site.append(cls(ferry, Server.of(app, changes.end), changes=changes))
        return site[0]

    def close(self) -> None:
        """End the server, and let go of the files."""
        self.server.stop()
        self.ferry.close()


def fill(ferry: Ferry) -> None:
    """A line that has seen everything: two versions, drift, a promotion, alerts."""
    ferry.sail(16)
    ferry.sail(20, first_day=16, version=2)
    ferry.hold(1, 2)
    name_versions(ferry.workspace, {"champion": 2, "previous": 1, "frozen": 1})
    ferry.watch()
    ferry.decide("d1", PROMOTED)
    ferry.serve(2, seen_wall_ms=wall_ms() + HOUR_MS)  # heard of until the test ends, however long it takes
    ferry.workspace.alerts.raise_alert(
        Alert("a", "late_ferry", "critical", "Errors of v1 rose", "20.1% were wrong", "http://127.0.0.1:5000/", START_MS + 17 * DAY_MS)
    )
    ferry.tell("a")
