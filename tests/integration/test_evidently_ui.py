"""Evidently's own server opens the workspace that checks leave in a home."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import numpy as np

from monitoring.evidently_home import FOLDER, keep_in_workspace, project_id
from monitoring.pages import quality_page
from tests import tiny
from tests.services import Server, free_port, program, running
from tidemill.stores import Judged


def test_its_own_ui_lists_the_checks_of_a_model(tmp_path: Path) -> None:
    rng, n = np.random.default_rng(0), 200
    rows = Judged(np.array(["champion"] * n), np.ones(n, dtype=np.int64), np.arange(n), rng.random(n), rng.integers(0, 2, n).astype(float))
    page = quality_page(tiny.LATE_ORDER, rows)
    assert page is not None
    keep_in_workspace(tmp_path, "tiny.late_order", "schedule 2025-01-20", [page])
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    line = [program("evidently"), "ui", "--workspace", str(tmp_path / FOLDER), "--host", "127.0.0.1", "--port", str(port)]
    with running(Server("evidently", line, f"{url}/version", {"DO_NOT_TRACK": "true"}, tmp_path)):
        with urllib.request.urlopen(f"{url}/projects") as answer:
            assert [project["name"] for project in json.load(answer)] == ["tiny.late_order"]
        with urllib.request.urlopen(f"{url}/projects/{project_id('tiny.late_order')}/reports") as answer:
            assert "schedule 2025-01-20: quality" in answer.read().decode()
