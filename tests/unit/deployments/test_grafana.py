"""The dashboard asks for metrics that there are, and for all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests import tiny
from tidemill.project import Workspace, project_root
from tidemill.serving.metrics import ServerMetrics

DASHBOARD: dict[str, Any] = json.loads((project_root() / "deployments" / "grafana" / "tidemill.json").read_text(encoding="utf-8"))
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def base(name: str) -> str:
    """A metric without what its kind adds to its samples."""
    return re.sub(r"_(total|bucket|count|sum|created)$", "", name)


def test_it_asks_for_what_there_is_and_for_all_of_it(tmp_path: Path) -> None:
    workspace = Workspace.open(tiny.project, tmp_path)
    told = ServerMetrics(workspace).render().decode()
    workspace.close()
    families = {family.name for family in text_string_to_metric_families(told)}
    asked = {base(name) for query in QUERIES for name in re.findall(r"tidemill_\w+", query)}
    assert asked == families


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    boxes = [panel["gridPos"] for panel in panels]
    taken = [(x, y) for at in boxes for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(set(taken)) == len(taken)
    assert all(x < 24 for x, _ in taken)
