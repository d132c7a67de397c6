"""`tidemill views`: the feature registry on the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from typer.testing import CliRunner

from tests import tiny
from tidemill.cli.main import app
from tidemill.errors import InputError, NotFoundError, ProjectError
from tidemill.project import Workspace
from tidemill.stores import Answered

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A day of the tiny project and two vectors that it was served; the environment is put back afterwards."""
    folder = tmp_path_factory.mktemp("home")
    workspace = Workspace.open(tiny.project, folder)
    tiny.live(workspace, 0, 1)
    numbers = np.array([[10.0, 21.5, 7.0], [10.0, np.nan, 0.0]])
    scores = {"champion": (1, np.full(2, 0.5))}
    digest = tiny.LATE_ORDER.source_digest
    workspace.predictions.write(
        Answered("late_order", workspace.now_ms(), 0, "{}", digest, ["k1", "k2"], ["{}", "{}"], numbers, scores)  # type: ignore[arg-type]  # one of the roles
    )
    workspace.close()
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(folder), "TIDEMILL_PROJECT": str(tiny.FILE), "COLUMNS": "160"}):
        yield folder


def said(*arguments: str) -> str:
    """What a command prints; an error of ours is raised as it is."""
    result = RUNNER.invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def line(text: str, begins: str) -> list[str]:
    """The words of the line that begins so."""
    (found,) = [row.split() for row in text.splitlines() if row.split()[:1] == [begins]]
    return found


def test_it_teaches() -> None:
    text = said("views", "--help")
    assert "Usage:" in text
    assert "--key" in text


def test_without_a_name_every_view_is_a_line(home: Path) -> None:
    assert line(said("views"), "by_shop") == ["by_shop", "1", "shop", "deliveries", "2", "-", "late_order", "0", "s", "whole"]
    (view,) = json.loads(said("views", "--json"))
    assert (view["name"], view["version"], view["models"], view["whole"], view["n_features"]) == ("by_shop", 1, ["late_order"], True, 2)
    assert "features" not in view


def test_with_a_name_every_feature_is_told(home: Path) -> None:
    text = said("views", "by_shop")
    assert "of stream time" in text and "of wall time since the newest event" in text
    assert line(text, "mean_delay_3h") == ["mean_delay_3h", 'mean("delay_min")', "3h", "5min", "50.0%", "missing,", "21.5"]
    assert line(text, "n_3h") == ["n_3h", "count()", "3h", "5min", "0.0%", "0,", "7"]
    assert line(text, "served") == ["served", "lately", "2", "vectors"]
    assert line(text, "remembered") == ["remembered", "version", "1", "from", "the", "beginning"]


def test_a_key_adds_its_values_now(home: Path) -> None:
    now = json.loads(said("features", "by_shop", "a", "--json"))["values"]
    told = json.loads(said("views", "by_shop", "--key", "a", "--json"))
    assert (told["key"], told["values"]) == ("a", now)
    assert now["n_3h"] > 0
    assert line(said("views", "by_shop", "--key", "a"), "n_3h")[-1] == f"{now['n_3h']:g}"
    assert line(said("views", "by_shop", "--key", "nobody"), "mean_delay_3h")[-1] == "missing"


def test_mistakes_say_what_to_do(home: Path) -> None:
    with pytest.raises(NotFoundError, match="no view or table 'by_shp'; there is: by_shop"):
        said("views", "by_shp")
    with pytest.raises(InputError, match="`tidemill views VIEW --key KEY`"):
        said("views", "--key", "a")


def changed_file(folder: Path, view: str = '"n_3h": count(over="3h")}', draft: str = "2h") -> Path:
    """The tiny project with a draft beside its view, whose last feature and what follows are written anew."""
    text = tiny.FILE.read_text()
    draft_view = f'DRAFT = View("draft", ORDERS, entity="shop", features={{"n": count(over="{draft}")}}, owner="ann")\n'
    for old, new in (
        ('"n_3h": count(over="3h")}', view),
        ("LATE_ORDER = Model(", f"{draft_view}LATE_ORDER = Model("),
        ("views=[BY_SHOP]", "views=[BY_SHOP, DRAFT]"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    folder.mkdir()
    file = folder / "project.py"
    file.write_text(text)
    return file


def test_a_draft_is_shown_and_not_held_fast(home: Path, tmp_path: Path) -> None:
    for window in ("1h", "2h"):
        file = changed_file(tmp_path / window, draft=window)
        text = said("views", "--project", str(file))
        assert line(text, "draft")[-3:] == ["to", "be", "filled"]
        assert "`tidemill backfill draft` fills it" in text
        detail = said("views", "draft", "--project", str(file))
        assert line(detail, "remembered") == ["remembered", "not", "yet"]
        assert line(detail, "owner") == ["owner", "ann"]
        assert line(detail, "n")[2] == window


def test_a_changed_definition_is_refused_here_too_unless_it_has_a_version(home: Path, tmp_path: Path) -> None:
    changed = '"n_3h": count(over="4h")}'
    file = changed_file(tmp_path / "changed", changed)
    with pytest.raises(ProjectError, match=r"feature 'n_3h' was count\(\) over 3h, bucket 5min, is count\(\) over 4h, .*; write version=2"):
        said("views", "--project", str(file))
    file = changed_file(tmp_path / "versioned", f"{changed}, version=2")
    assert line(said("views", "--project", str(file)), "by_shop")[1] == "2"
