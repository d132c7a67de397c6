"""What the server says while too much waits for the engine."""

from __future__ import annotations

import json
from pathlib import Path

from fastapi.testclient import TestClient

from tests import tiny
from tidemill.clock import wall_ms
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving import Champions, create_app
from tidemill.settings import EngineSettings, ServerSettings, Settings

EVENTS = "/v1/streams/orders/events"


def test_events_are_refused_until_the_engine_has_caught_up(tmp_path: Path) -> None:
    workspace = Workspace.open(tiny.project, tmp_path)
    champions = Champions(workspace, Registry("http://127.0.0.1:9", tmp_path), "test")
    app = create_app(workspace, Settings(engine=EngineSettings(max_behind=5), server=ServerSettings(open=True)), champions)
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    orders = json.dumps([{"order_id": f"o{number}", "placed_at": wall_ms(), "shop": "a"} for number in range(6)])
    assert client.post(EVENTS, content=orders).json()["accepted"] == 6
    refused = client.post(EVENTS, content=orders)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert "more than 5 events wait for the engine" in refused.json()["error"]["what"]
    assert client.get("/v1/views").status_code == 200, "reads are answered"
    workspace.engine().drain(100)
    again = client.post(EVENTS, content=orders)
    assert (again.status_code, again.json()["duplicates"]) == (200, 6)
    workspace.close()
