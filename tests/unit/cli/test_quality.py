"""`tidemill quality` and `GET /v1/models/{model}/quality` say the same of the same predictions."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from tests import tiny
from tidemill.cli.main import app
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import profile_quality, profile_reference
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving import Champions, create_app
from tidemill.settings import ServerSettings, Settings
from tidemill.stores import Answered
from tidemill.stores.held_versions import held_folder

RUNNER = CliRunner()
DAYS, A_DAY = 4, 40


def answer_some(workspace: Workspace) -> None:
    """Some orders of each day, asked when they were placed; one of the last day's has no outcome yet."""
    for day in range(DAYS):
        numbers = range(day * 24 * tiny.AN_HOUR, day * 24 * tiny.AN_HOUR + A_DAY)
        shops = [tiny.SHOPS[np.random.default_rng(number).integers(5)] for number in numbers]
        said = np.array([0.7 if shop in "ab" else 0.2 for shop in shops])
        workspace.predictions.write(
            Answered(
                model="late_order",
                at_ms=tiny.START_MS + day * DAY_MS,
                made_wall_ms=0,
                position="{}",
                digest=tiny.LATE_ORDER.source_digest,
                keys=[*[f"o{number}" for number in numbers], *(["open"] if day == DAYS - 1 else [])],
                requests=[json.dumps({"shop": shop}) for shop in [*shops, *("a" if day == DAYS - 1 else "")]],
                numbers=np.zeros((A_DAY + (day == DAYS - 1), 3)),
                scores={"champion": (1, np.append(said, [0.7] if day == DAYS - 1 else []))},
            )
        )


def hold_reference(home: Path, hours: int = 2_000) -> None:
    """As a server does that has loaded version 1."""
    rng, at_ms = np.random.default_rng(0), np.arange(hours) * HOUR_MS
    said = rng.choice([0.7, 0.2], hours)
    profile = profile_reference({"amount": rng.random(hours)}, said, at_ms)
    quality = profile_quality((rng.random(hours) < said).astype(np.float64), said, at_ms, DAY_MS)
    folder = held_folder(home, tiny.project.registered_name("late_order"), 1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reference.json").write_text(replace(profile, quality=quality).to_json())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Four days of the tiny project, answered; the environment is put back afterwards."""
    folder = tmp_path_factory.mktemp("home")
    workspace = Workspace.open(tiny.project, folder)
    tiny.live(workspace, 0, DAYS)
    answer_some(workspace)
    hold_reference(folder)
    workspace.close()
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(folder), "TIDEMILL_PROJECT": str(tiny.FILE), "COLUMNS": "200"}):
        yield folder


def test_the_command_tells_labels_versions_slices_and_windows(home: Path) -> None:
    said = RUNNER.invoke(app, ["quality", "late_order"])
    assert said.exit_code == 0, said.output
    for part in (
        "160 of 161 predictions are labelled",
        "how far to trust the estimate",
        "by version",
        "by slice, worst first",
        "shop a",
        "by 1d of UTC, newest first",
    ):
        assert part in said.output


def test_a_narrow_terminal_shows_each_window_with_its_day(home: Path) -> None:
    with patch.dict(os.environ, {"COLUMNS": "80"}):
        said = RUNNER.invoke(app, ["quality", "late_order"])
    windows = said.output.partition("by 1d of UTC")[2]
    assert len(re.findall(r"^ 20\d\d-\d\d-\d\d  .*\d", windows, re.MULTILINE)) == DAYS, windows
    assert "…" not in said.output


def test_an_interval_of_few_windows_is_said_to_be_provisional(home: Path, tmp_path: Path) -> None:
    copied = tmp_path / "home"
    shutil.copytree(home, copied)
    hold_reference(copied, hours=48)
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(copied)}):
        said = RUNNER.invoke(app, ["quality", "late_order"])
    assert "provisional, too short, of version 1" in said.output


def test_json_and_http_are_the_same_values(home: Path) -> None:
    said = RUNNER.invoke(app, ["quality", "late_order", "--json"])
    found = json.loads(said.output)
    workspace = Workspace.open(tiny.project, home)
    champions = Champions(workspace, Registry("http://127.0.0.1:9", home), "test")
    client = TestClient(create_app(workspace, Settings(server=ServerSettings(open=True)), champions), base_url="http://127.0.0.1:8000")
    answers = (client.get("/v1/models/late_order/quality").json() for _ in range(DAYS + 1))  # each reads at least one window more
    assert next(answer for answer in answers if answer["complete"]) == found
    assert client.get("/v1/models/late_ordr/quality").status_code == 404
    workspace.close()
    assert (found["labels"]["n_asked"], found["labels"]["n_labelled"]) == (161, 160)
    assert [one["labelled"] for one in found["windows"]] == [A_DAY] * DAYS
    assert {one["value"] for one in found["slices"]} == set(tiny.SHOPS)
    assert found["windows"][0]["estimated"]["log_loss"]["low"] < found["windows"][0]["estimated"]["log_loss"]["value"]


def test_a_model_nobody_asked_says_what_is_missing(tmp_path: Path) -> None:
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_PROJECT": str(tiny.FILE)}):
        said = RUNNER.invoke(app, ["quality", "late_order"])
    assert "no prediction of late_order yet" in said.output
