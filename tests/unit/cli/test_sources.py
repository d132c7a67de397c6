"""`tidemill sources`: where events come from, and how their copies are doing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from tidemill.cli.main import app
from tidemill.clock import wall_ms
from tidemill.project import Workspace, load_project
from tidemill.serving import copiers

RUNNER = CliRunner()
NOW_MS = wall_ms()  # the command's clock stands still
PROJECT = """
from tests.feeds import Tap
from tidemill import Files, Project, Stream
taps = Stream("taps", schema=Tap, event_time="at", event_id="tap_id", source=Files("{folder}/*.jsonl", settle_s=0))
gates = Stream("gates", schema=Tap, event_time="at", event_id="tap_id")
project = Project("stations", streams=[taps, gates])
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A project of two streams, one of which has a source; commands find it in the environment."""
    file = tmp_path / "stations.py"
    file.write_text(PROJECT.format(folder=tmp_path))
    opened = Workspace.open(load_project(file), tmp_path / "home")
    environ = {"TIDEMILL_HOME": str(tmp_path / "home"), "TIDEMILL_PROJECT": str(file), "COLUMNS": "200"}
    with patch("tidemill.cli.sources.wall_ms", lambda: NOW_MS), patch.dict(os.environ, environ):
        yield opened
    opened.close()


def said(*arguments: str) -> str:
    """What the command prints, with spaces made one."""
    result = RUNNER.invoke(app, ["sources", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_it_teaches() -> None:
    assert "Files(" in said("--help")


def test_a_source_that_was_never_copied_says_what_to_do(workspace: Workspace) -> None:
    assert "0 never not begun; is `tidemill work` running?" in said()
    assert "gates HTTP: POST /v1/streams/gates/events" in said()
    assert json.loads(said("--json"))["gates"] == {"source": None}


def test_a_copy_that_went_well_and_one_that_failed(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n" * 1_234)
    (copier,) = copiers(workspace, 10_000)
    with closing(copier):
        assert copier.step() == 1_234
    text = said()
    assert "1,234" in text
    assert " ok" in text
    found = json.loads(said("--json"))["taps"]
    assert (found["events"], found["error"], found["source"]) == (1_234, None, f"files {tmp_path}/*.jsonl")
    workspace.log.sources.tell_failure("taps", NOW_MS, "OSError: the disk is gone")
    assert "OSError: the disk is gone" in said()
    workspace.log.sources.tell("taps", NOW_MS - 60_000, 12.3, 7)
    assert "not heard of for 60 s" in said()
    assert " 12 7 " in said()
