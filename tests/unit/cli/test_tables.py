"""A table where views are shown: on the command line, on the page and by `doctor`; and what is said when its definition changes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests import tabled, tiny
from tests.unit.cli.test_views import line, said
from tidemill.cli.doctor import examine
from tidemill.clock import DAY_MS, HOUR_MS, wall_ms
from tidemill.errors import ProjectError
from tidemill.features import View, count
from tidemill.project import Workspace
from tidemill.settings import Settings, read_settings
from tidemill.stores import Answered
from tidemill.ui import page_router, read_overview

MODEL, TABLE = tabled.LATE_ORDER, tabled.SHOP_INFO


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A day of the project and three vectors that it was served; the environment is put back afterwards."""
    folder = tmp_path_factory.mktemp("home")
    workspace = Workspace.open(tabled.project, folder)
    tabled.live(workspace, 0, 1)
    numbers = np.full((3, len(MODEL.number_columns)), np.nan)
    numbers[:, MODEL.number_columns.index("shop_info__size")] = [100, np.nan, 200]
    texts = [orjson.dumps({"shop_info__town": town}) for town in ("Leek", None, "Ripon")]
    scores: Any = {"champion": (1, np.full(3, 0.5))}
    keys = ["k1", "k2", "k3"]
    answered = Answered(MODEL.name, workspace.now_ms(), 0, "{}", MODEL.source_digest, keys, ["{}"] * 3, numbers, scores, texts)
    workspace.predictions.write(answered)
    workspace.close()
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(folder), "TIDEMILL_PROJECT": str(tabled.FILE), "COLUMNS": "160"}):
        yield folder


def test_it_is_a_line_among_the_views(home: Path) -> None:
    assert line(said("views"), "by_shop")[:4] == ["by_shop", "1", "shop", "deliveries"]
    facts = ["shop_info", "(table)", "1", "shop", "shops", "4", "ann", "late_order"]
    assert line(said("views"), "shop_info")[:8] == facts
    assert line(said("views"), "shop_info")[-1] == "whole"


def test_its_columns_are_told_with_what_was_served_lately(home: Path) -> None:
    text = said("views", "shop_info", "--key", "b")
    assert text.startswith("shop_info (table) version 1: What is true of a shop.")
    assert line(text, "size") == ["size", "newest", "size", "-", "-", "33.3%", "200,", "missing,", "100", "101"]
    assert line(text, "town") == ["town", "newest", "town", "-", "-", "33.3%", "Ripon,", "missing,", "Leek", "Leek"]
    detail = json.loads(said("views", "shop_info", "--json"))
    assert (detail["kind"], detail["n_served"]) == ("table", 3)
    assert detail["features"][1]["last_values"] == ["Ripon", None, "Leek"]
    assert detail["versions"] == [{"version": 1, "digest": TABLE.digest, "first_seen_ms": 0}]


def test_the_values_of_a_key_are_read_now_and_at_a_time(home: Path) -> None:
    assert line(said("features", "shop_info", "b"), "town") == ["town", "Leek"]
    assert line(said("features", "shop_info", "e"), "town") == ["town", "missing"]
    assert line(said("features", "shop_info", "a"), "size") == ["size", "200"]
    at = str(tiny.START_MS + HOUR_MS)
    assert json.loads(said("features", "shop_info", "a", "--at", at, "--json"))["values"]["size"] == 100


def test_doctor_says_what_rows_take(home: Path) -> None:
    findings = {one.what: one for one in examine(read_settings())}
    assert findings["project"].said == "tabled: 3 streams, 1 views, 1 tables, 1 models"
    assert findings["rows"].said == "4 rows, 0 MB; about 0 MB at the rate of now"


def page(workspace: Workspace) -> str:
    app = FastAPI()
    app.include_router(page_router(lambda: read_overview(workspace, Settings(), wall_ms())))
    text: str = TestClient(app).get("/").text
    return text


def test_the_page_lists_it_with_the_views(home: Path) -> None:
    workspace = Workspace.open(tabled.project, home)
    section = page(workspace).split('id="view-shop_info"')[1].split("</details>")[0]
    assert '<span class="name">shop_info <small>table</small></span>' in section
    assert "shops <span" in section and "4 <span" in section and "columns</span>" in section
    town = section.split('id="feature-shop_info-town"')[1].split("</tr>")[0]
    assert re.findall(r"<span>([^<]*)</span>", town) == ["Ripon", "–", "Leek"]
    assert 'data-label="Window">–<' in town
    workspace.close()


def test_a_table_that_came_later_says_what_to_do(tmp_path: Path) -> None:
    before = Workspace.open(replace(tabled.project, tables=[], models=[]), tmp_path)
    tabled.live(before, 0, 1)
    before.close()
    workspace = Workspace.open(tabled.project, tmp_path)
    assert "shop_info knows only events since it was declared or changed" in page(workspace)
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_PROJECT": str(tabled.FILE), "COLUMNS": "160"}):
        assert "table shop_info knows only events since it was declared" in said("status")
        assert "shop_info filled from 5 events" in said("backfill", "shop_info")
        assert line(said("features", "shop_info", "c"), "town") == ["town", "Ripon"]
        assert "knows only events" not in said("status")
    workspace.close()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            replace(TABLE, columns=["size", "town"]),
            "its columns were size (number), town (text), opened (time), chain (number), are size (number), town (text)",
        ),
        (replace(TABLE, key=("shop", "town")), "its entity was shop, is shop,town"),
        (View("shop_info", tabled.SHOPS, entity="shop", features={"n": count(over="1h")}), "it was a table, is a view"),
    ],
    ids=["columns", "key", "kind"],
)
def test_a_changed_definition_is_refused_with_what_differs(home: Path, source: Any, said: str) -> None:
    sources = {"views": [tiny.BY_SHOP, source]} if isinstance(source, View) else {"views": [tiny.BY_SHOP], "tables": [source]}
    changed = replace(tabled.project, models=[], **({"tables": []} | sources))
    with pytest.raises(ProjectError) as refused:
        Workspace.open(changed, home)
    assert said in str(refused.value)
    assert f"write version=2 in the {source.kind}, then `tidemill backfill shop_info` fills it" in str(refused.value)


def test_a_new_version_is_a_table_of_its_own(tmp_path: Path) -> None:
    first = Workspace.open(tabled.project, tmp_path)
    tabled.live(first, 0, 1)
    first.close()
    table = replace(TABLE, columns=["town"], version=2)
    again = Workspace.open(replace(tabled.project, tables=[table], models=[]), tmp_path)
    assert [one.version for one in again.state.definitions.of("shop_info")] == [1, 2]
    assert again.backfill("shop_info") == 5
    assert again.now_ms() < tiny.START_MS + DAY_MS
    again.close()
