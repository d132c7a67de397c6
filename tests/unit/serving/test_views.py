"""The feature registry over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests import tiny
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving import Champions, create_app
from tidemill.settings import ServerSettings, Settings


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """The application over a day of the tiny project. It is not started, so nothing asks the registry."""
    workspace = Workspace.open(tiny.project, tmp_path)
    tiny.live(workspace, 0, 1)
    champions = Champions(workspace, Registry("http://127.0.0.1:9", tmp_path), "test")
    yield TestClient(create_app(workspace, Settings(server=ServerSettings(open=True)), champions), base_url="http://127.0.0.1:8000")
    workspace.close()


def test_every_view_is_listed(client: TestClient) -> None:
    answer = client.get("/v1/views")
    assert answer.status_code == 200
    (view,) = answer.json()
    assert (view["name"], view["entity"], view["stream"], view["models"]) == ("by_shop", ["shop"], "deliveries", ["late_order"])
    assert (view["whole"], view["freshness_ms"], view["version"]) == (True, 0, 1)
    assert view["wall_age_ms"] > 0
    assert "features" not in view


def test_one_view_is_described(client: TestClient) -> None:
    view = client.get("/v1/views/by_shop").json()
    assert [feature["name"] for feature in view["features"]] == ["mean_delay_3h", "n_3h"]
    assert view["features"][0]["definition"] == 'mean("delay_min")'
    assert view["features"][0]["missing_rate"] is None
    assert view["versions"] == [{"version": 1, "digest": tiny.BY_SHOP.digest, "first_seen_ms": 0}]
    assert {name: view[name] for name in client.get("/v1/views").json()[0] if name != "wall_age_ms"}.items() <= view.items()


def test_an_unknown_view_is_404_and_the_known_ones_are_named(client: TestClient) -> None:
    answer = client.get("/v1/views/by_shp")
    assert answer.status_code == 404
    assert answer.json()["error"]["what"] == "no view or table 'by_shp'; there is: by_shop"
