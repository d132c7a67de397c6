"""A table from the project file to a served model: trained, asked over HTTP, confirmed from the lake, and listed with the views."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests import tabled, tiny
from tests.integration.test_server import PATIENCE_S, Api, serve
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.learning import Parity, check_parity
from tidemill.project import Workspace
from tidemill.registry import CHAMPION, Registry, snapshot

NAME = "tabled_served.late_order"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[Api]:
    """A server that holds a champion which has learnt from three days."""
    home = tmp_path_factory.mktemp("tabled")
    workspace, registry = Workspace.open(tabled.named("tabled_served"), home), Registry(mlflow_uri, home)
    tabled.live(workspace, 0, 3)
    registry.promote(NAME, tiny.train_version(workspace, registry))
    for api in serve(workspace, registry):
        until_s = time.monotonic() + PATIENCE_S
        while (answer := api.call("GET", "/readyz"))[0] != 200:
            assert time.monotonic() < until_s, answer
            time.sleep(0.05)
        yield api


def test_a_model_reads_the_table_and_what_it_served_is_confirmed(api: Api) -> None:
    asked = [{"order_id": f"q-{shop}", "shop": shop, "amount": 20.0} for shop in "abcde"]
    status, said = api.call("POST", "/v1/models/late_order/predict", asked)
    assert status == 200, said
    assert len({one["probability"] for one in said}) > 2
    model = api.workspace.project.models[0]
    served = api.workspace.predictions.served(model.name)
    assert [json.loads(text or b"{}") for text in served.texts] == [
        {"shop_info__town": town} for town in ("Leek", "Wells", "Ripon", "Ripon", None)
    ]
    assert check_parity(model, api.workspace.lake, served) == Parity(5, (), 0.0)


def test_training_rows_have_the_text_that_held(api: Api) -> None:
    rows = snapshot(api.workspace, api.workspace.project.models[0])
    moved_ms = tiny.START_MS + 2 * DAY_MS
    requests = api.workspace.lake.dataset("orders").to_table(columns=["order_id", "shop"]).to_pylist()
    shops = {row["order_id"]: row["shop"] for row in requests}
    told = {
        (shops[key], at_ms >= moved_ms, town)
        for key, at_ms, town in zip(rows.keys, rows.at_ms.tolist(), rows.columns["shop_info__town"], strict=True)
    }
    assert {(moved, town) for shop, moved, town in told if shop == "b"} == {(False, "Leek"), (True, "Wells")}
    assert {town for shop, _, town in told if shop == "e"} == {None}


def test_the_values_of_a_key_are_read_now_and_then(api: Api) -> None:
    status, now = api.call("GET", "/v1/features/shop_info/b")
    opened = tiny.START_MS - 400 * DAY_MS
    assert (status, now["source"], now["view"]) == (200, "rows", "shop_info")
    assert now["values"] == {"size": None, "town": "Wells", "opened": None, "chain": None}
    then = api.call("GET", f"/v1/features/shop_info/b?at={tiny.START_MS + HOUR_MS}")[1]
    assert (then["source"], then["values"]) == ("lake", {"size": 101, "town": "Leek", "opened": opened, "chain": 1})
    _, many = api.call("POST", "/v1/features/shop_info", {"keys": ["a", "e"]})
    assert [one["values"]["town"] for one in many] == ["Leek", None]


def test_it_is_listed_beside_the_views(api: Api) -> None:
    listed = api.call("GET", "/v1/views")[1]
    assert [(one["kind"], one["name"]) for one in listed] == [("view", "by_shop"), ("table", "shop_info")]
    status, one = api.call("GET", "/v1/views/shop_info")
    assert status == 200
    assert (one["owner"], one["stream"], one["entity"], one["models"]) == ("ann", "shops", ["shop"], ["late_order"])
    assert one["whole"]
    assert [(column["name"], column["definition"], column["window"]) for column in one["features"]][:2] == [
        ("size", "newest size", ""),
        ("town", "newest town", ""),
    ]


def test_the_registered_version_says_which_definitions_it_read(api: Api) -> None:
    version = api.registry.alias(NAME, CHAMPION)
    assert version is not None
    assert api.registry.load(NAME, version).tags["source_digest"] == tabled.LATE_ORDER.source_digest
