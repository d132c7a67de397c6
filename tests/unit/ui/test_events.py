"""The stream of events over a real server, and what stands in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.browser.site import Site
from tests.unit.ui.ferry import START_MS, Ferry
from tidemill.clock import DAY_MS
from tidemill.settings import Settings
from tidemill.stores import Alert
from tidemill.ui import OverviewReader, changes, page_router
from tidemill.ui.parts import PARTS
from tidemill.ui.store_signs import read_signs

PATIENCE_S = 120.0


@dataclass
class Stream:
    """An open stream, read event by event."""

    lines: Iterator[str]

    def next(self) -> tuple[str, str]:
        """Name and data of the next event."""
        name = ""
        for line in self.lines:
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                return name, line.removeprefix("data: ")
        return "end", ""

    def marks(self) -> dict[str, str]:
        """The marks of the next event."""
        name, data = self.next()
        assert name == "marks", data
        told: dict[str, str] = json.loads(data)
        return told


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site.open(tmp_path)
    yield made
    made.close()


def test_a_change_is_told_by_the_part_that_shows_it_and_that_part_is_what_the_page_had(site: Site) -> None:
    page = httpx.get(site.url, timeout=PATIENCE_S).text
    shown = dict(re.findall(r'data-name="(\w+)" data-mark="(\w+)"', page))
    assert tuple(shown) == PARTS
    with httpx.stream("GET", f"{site.url}ui/events", timeout=PATIENCE_S) as answer:
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("text/event-stream; charset=utf-8", "no-store")
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        stream = Stream(answer.iter_lines())
        first = stream.marks()
        assert first["alerts"] == shown["alerts"], "nothing is asked for twice"
        alert = Alert("a", "late_ferry", "critical", "Errors rose", "20 %", "", START_MS)
        site.ferry.workspace.alerts.raise_alert(alert)
        while (now := stream.marks())["alerts"] == first["alerts"]:
            pass
        assert {part for part in PARTS if now[part] != first[part]} <= {"glance", "alerts", "streams"}
        part = httpx.get(f"{site.url}ui/parts/alerts", timeout=PATIENCE_S).text
        assert f'data-mark="{now["alerts"]}"' in part and "Errors rose" in part
        assert site.changes.n_streams == 1


def test_a_server_ends_though_pages_listen(tmp_path: Path) -> None:
    site = Site.open(tmp_path)
    with httpx.stream("GET", f"{site.url}ui/events", timeout=PATIENCE_S) as answer:
        stream = Stream(answer.iter_lines())
        stream.marks()
        site.close()  # which asserts that its thread is over
        while stream.next()[0] != "end":
            pass


def test_whoever_goes_is_counted_no_more(site: Site) -> None:
    with httpx.stream("GET", f"{site.url}ui/events", timeout=PATIENCE_S) as answer:
        stream = Stream(answer.iter_lines())  # held, as lines that nobody holds close their stream
        stream.marks()
        assert site.changes.n_streams == 1
    while site.changes.n_streams:
        httpx.get(f"{site.url}static/icon.svg", timeout=PATIENCE_S)  # which takes a moment
    assert site.changes.n_streams == 0


def test_one_too_many_is_told_when_to_try_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_STREAMS", 1)
    with httpx.stream("GET", f"{site.url}ui/events", timeout=PATIENCE_S) as answer:
        stream = Stream(answer.iter_lines())
        stream.marks()
        refused = httpx.get(f"{site.url}ui/events", timeout=PATIENCE_S)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert "close one" in refused.text and site.changes.n_streams == 1


def test_no_other_part_is_known(site: Site) -> None:
    answer = httpx.get(f"{site.url}ui/parts/secrets", timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()) == (404, {"detail": "no part 'secrets'"})


def test_every_change_that_is_shown_is_a_sign(site: Site) -> None:
    ferry = site.ferry

    def signs() -> object:
        return read_signs(ferry.workspace, START_MS + DAY_MS)

    def alert() -> None:
        ferry.workspace.alerts.raise_alert(Alert("a", "late_ferry", "critical", "Errors rose", "20 %", "", START_MS))

    was = signs()
    for act in (
        lambda: ferry.leave("a", START_MS),
        lambda: ferry.predict(["a"], START_MS, 1, ([0.2], [0.2])),
        lambda: ferry.arrive(["a"], START_MS + 1, [20.0]),
        lambda: ferry.decide("d1", None),
        alert,
        lambda: ferry.workspace.alerts.acknowledge(["a"], "ann", 1),
        lambda: ferry.workspace.monitors.save("check:late_ferry", 0, 1, {"at_ms": 1}),
        lambda: ferry.workspace.decisions.freeze("late_ferry", "ann", "strike", 1),
        lambda: ferry.serve(1, seen_wall_ms=START_MS + DAY_MS),
    ):
        assert signs() == was, "what is not written to stays equal"
        act()
        assert signs() != was
        was = signs()


def test_without_a_watcher_the_page_is_told_to_ask(ferry: Ferry) -> None:
    app = FastAPI()
    app.include_router(page_router(OverviewReader(ferry.workspace, Settings()).read))
    answer = TestClient(app).get("/ui/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
