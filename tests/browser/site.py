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
from tidemill.drift import Heat
from tidemill.registry import Registry
from tidemill.serving import Connection, end_before
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
    def of(cls, app: FastAPI, before_end: Callable[[], None], port: int = 0) -> Server:
        """Serve it."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()  # so that a browser that is faster than the thread waits instead of being refused
        end_before(app, before_end)
        server = uvicorn.Server(uvicorn.Config(app, http=Connection, log_level="critical", lifespan="off"))
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
    registry: Registry
    broken: bool = False
    changes: Changes = field(init=False)
    server: Server = field(init=False)

    @property
    def url(self) -> str:
        """Its address."""
        return self.server.url

    @classmethod
    def open(cls, home: Path, registry: Registry | None = None) -> Site:
        """The page over a line that nothing has happened on; its registry is away where none is given."""
        made = cls(Ferry.open(home), registry or Registry("http://127.0.0.1:9", home))
        made.serve()
        return made

    def serve(self, port: int = 0) -> None:
        """Serve it, on a port of its own if none is given."""
        workspace = self.ferry.workspace
        reader, shown = OverviewReader(workspace, Settings()), Shown()

        def read() -> Overview:
            if self.broken:
                raise OSError("unable to open the database file")
            return reader.read()

        def look() -> Marks:
            reader.forget()
            marks: Marks = shown.of(read())["marks"]
            return marks

        self.changes = Changes(look, lambda: (self.broken, read_signs(workspace, wall_ms())))
        app = FastAPI()
        app.add_middleware(Guards, max_body_bytes=4_000_000)
        acts = alert_router(workspace, reader.forget), model_router(workspace, self.registry, reader.forget)
        for router in (page_router(read, self.changes, shown), *acts):
            app.include_router(router)
        self.server = Server.of(app, self.changes.end, port)

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
    draw_feature(ferry)
    ferry.decide("d1", PROMOTED)
    ferry.serve(2, seen_wall_ms=wall_ms() + HOUR_MS)  # heard of until the test ends, however long it takes
    ferry.workspace.alerts.raise_alert(
        Alert("a", "late_ferry", "critical", "Errors of v1 rose", "20.1% were wrong", "http://127.0.0.1:5000/", START_MS + 17 * DAY_MS)
    )
    ferry.tell("a")


def draw_feature(ferry: Ferry) -> None:
    """The feature that the model reads is watched beside the columns of `watch`, and has moved as `wind` has."""
    column, name = "ports__mean_delay_3h", "windows:late_ferry"
    cursor, state = ferry.workspace.monitors.load(name)
    assert state is not None
    heat = Heat.from_state(state["heat"])
    heat.take(START_MS + 400 * HOUR_MS, {column: 0.7})
    shapes = {**state["shapes"], column: state["shapes"]["wind"]}
    ferry.workspace.monitors.save(name, cursor, cursor + 1, {**state, "heat": heat.state(), "shapes": shapes})
