"""`tidemill publications`: what is published where, what waits, and what is wrong."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from tests.published import predict
from tests.services import free_port
from tidemill.cli.main import app
from tidemill.errors import NotReadyError
from tidemill.project import Workspace, load_project, project_root
from tidemill.serving import publishers
from tidemill.stores import Alert
from tidemill.stores.prediction_ids import distrust_ids
from tidemill.stores.publications import Passed

RUNNER = CliRunner()
PROJECT = """
from tests.unit.events.taps import TAPS
from tidemill import KafkaTopic, Project
target = KafkaTopic("tides", "127.0.0.1:PORT", connect_s=0.2)
project = Project("tides", streams=[TAPS], publish={"predictions": target, "alerts": target})
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A project that publishes to a broker that is not there; commands find it in the environment."""
    file = tmp_path / "tides.py"
    file.write_text(PROJECT.replace("PORT", str(free_port())))
    opened = Workspace.open(load_project(file), tmp_path / "home")
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(tmp_path / "home"), "TIDEMILL_PROJECT": str(file), "COLUMNS": "250"}):
        yield opened
    opened.close()


def said(command: str, *arguments: str) -> str:
    """What a command prints, with spaces made one."""
    result = RUNNER.invoke(app, [command, *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_a_project_that_publishes_nothing_says_so(tmp_path: Path) -> None:
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_PROJECT": "tests/tiny.py"}):
        assert said("publications") == "the project publishes nothing"
        assert said("publications", "--json") == "{}"


def test_what_has_not_begun_is_declared_all_the_same(workspace: Workspace) -> None:
    assert re.search(r"predictions kafka topic tides at 127\.0\.0\.1:\d+ 0 0 never not begun; is", said("publications"))
    assert json.loads(said("publications", "--json"))["alerts"].keys() == {"to"}


def test_what_was_sent_what_waits_and_why(workspace: Workspace) -> None:
    predictions, alerts = publishers(workspace, "me")
    predict(workspace, 3)
    workspace.alerts.raise_alert(Alert("a1", "busy", "info", "t", "b", "", at_ms=1))
    workspace.publications.advance("predictions", 0, 1, Passed(sent=1, refused=0, wall_ms=1_795_600_800_000))
    text = said("publications")
    assert re.search(
        r"predictions kafka topic \S+ at \S+ 1 2 0 2026-11-25 10:00:00 UTC ok alerts kafka topic \S+ at \S+ 0 1 0 never ok", text
    )
    assert "not published" not in said("status")
    with pytest.raises(NotReadyError, match="no broker lets us in") as failed:
        predictions.step()
    workspace.publications.tell("predictions", str(failed.value))
    found = json.loads(said("publications", "--json"))
    assert (found["predictions"]["sent"], found["predictions"]["waiting"], found["alerts"]["waiting"]) == (1, 2, 1)
    assert "no broker lets us in" in found["predictions"]["last_error"]
    distrust_ids(workspace.home / "serving.db")
    predict(workspace, 1)
    assert json.loads(said("publications", "--json"))["predictions"]["waiting"] == 3, "ids that nobody was given do not wait"
    assert "predictions are not published; see `tidemill publications`" in said("status")
    assert json.loads(said("status", "--json"))["publications"]["predictions"]["sent"] == 1
    for publisher in (predictions, alerts):
        publisher.close()


def test_the_project_of_the_docs_loads(tmp_path: Path) -> None:
    """It is the README's, with another end."""
    readme, page = ((project_root() / name).read_text(encoding="utf-8") for name in ("README.md", "docs/publishing.md"))
    (shop,), (end,) = (re.findall(r"```python\n(.*?)```", text, re.DOTALL) for text in (readme, page))
    (tmp_path / "shop.py").write_text(shop[: shop.index("\nproject = ")] + "\n" + end, encoding="utf-8")
    project = load_project(tmp_path / "shop.py")
    assert project.publish.keys() == {"predictions", "alerts", "decisions"}
    assert project.recording is not None
