"""Loading a project file: every mistake is reported with file, line, thing and fix."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.errors import ProjectError
from tidemill.project import DEFAULT, find_project, load_project, project_root

GOOD = """
from pydantic import BaseModel
from tidemill import Label, Model, Project, Requests, Stream, View, col, count, mean

class Tap(BaseModel):
    tap_id: str
    at: int
    line: str | None = None
    fare: float | None = None

class Ask(BaseModel):
    tap_id: str
    line: str

taps = Stream("taps", schema=Tap, event_time="at", event_id="tap_id")
by_line = View("by_line", taps, entity="line", features={"n": count(over="1h")})
dear = Model("dear", request=Ask, requests=Requests(taps, col("at")), features=[by_line],
             label=Label(taps, key="tap_id", value=col("fare") >= 2, within="1h"), estimator=object)
project = Project("tides", streams=[taps], views=[by_line], models=[dear])
"""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """A loaded project stays importable; not after the test."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("tidemill_project_") or name == "beside":
            del sys.modules[name]


def write(folder: Path, text: str) -> Path:
    file = folder / "project.py"
    file.write_text(text)
    return file


def mistake(folder: Path, text: str) -> tuple[ProjectError, str]:
    """The error of loading that text, and its message without the folder."""
    with pytest.raises(ProjectError) as caught:
        load_project(write(folder, text))
    return caught.value, str(caught.value).replace(f"{folder.resolve()}/", "")


def test_a_project_is_loaded_once_and_by_file_or_folder(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    project = load_project(file)
    assert project.name == "tides"
    assert load_project(tmp_path) is project
    assert load_project(file) is project


def test_a_project_may_lie_in_several_files(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("NAME = 'tides_beside'")
    write(tmp_path, GOOD.replace('Project("tides"', "Project(NAME").replace("\nclass Tap", "\nfrom beside import NAME\nclass Tap", 1))
    assert load_project(tmp_path).name == "tides_beside"


def test_the_shipped_example_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_project(DEFAULT) == project_root() / DEFAULT
    assert (project_root() / "flows").is_dir() or (project_root() / "examples").is_dir()


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ProjectError, match=r"nowhere/project\.py: no such project file; give one with --project PATH"):
        load_project(Path("nowhere/project.py"))


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("from pydantic", "from pydantic import (", 2, "SyntaxError: "),
        ("from pydantic", "import nothing_of_that_name\nfrom pydantic", 2, "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ('count(over="1h")', 'count(over="1x")', 16, "ValueError: '1x' is not a duration; write a whole number and one of ms, s"),
        ('count(over="1h")', "conut(over='1h')", 16, "NameError: name 'conut' is not defined"),
        ('count(over="1h")', 'mean(col("fare") == 2, over="1h")', 16, "TypeError: False is not an expression"),
        ('count(over="1h")', 'mean(0 < col("fare") < 2, over="1h")', 16, 'TypeError: ("fare" > 0) is not true or false by itself'),
        ('event_time="at"', 'event_time="when"', 15, "stream 'taps': event_time='when' is not a field of Tap; choose one of tap_id"),
        ("fare: float | None", "fare: list[float]", 15, "stream 'taps': field 'fare' has the type list[float]; use int, float, bool"),
        (
            'entity="line"',
            'entity="lane"',
            16,
            "view 'by_line': entity 'lane' is not a text field of stream 'taps'; choose of tap_id",
        ),
        (
            'count(over="1h")',
            'count("line", over="1h")',
            16,
            "view 'by_line', feature 'n': 'line' is not a number of stream 'taps'; ",
        ),
        (
            'count(over="1h")',
            'count(over="1h", bucket="7min")',
            16,
            "feature 'n': a window of 1h is not a multiple of its bucket of 7min;",
        ),
        ('entity="line"', 'entity="line", allowed_lateness="soon"', 16, "view 'by_line': 'soon' is not a duration"),
        ('key="tap_id"', 'key="at"', 18, "label on stream 'taps': key 'at' is not a text field of it; choose of tap_id, line"),
        ('within="1h"', 'within="1"', 18, "label on stream 'taps': '1' is not a duration"),
        ("features=[by_line]", 'features=["lane"]', 17, "model 'dear': 'lane' is not a field of the request; choose of tap_id, line"),
        ("views=[by_line]", "views=[]", 19, "project 'tides': model 'dear' reads view 'by_line'; add it to views=[...]"),
        ("streams=[taps]", "streams=[]", 19, "project 'tides': view 'by_line' reads stream 'taps'; add it to streams=[...]"),
        ("streams=[taps]", "streams=[taps, taps]", 19, "project 'tides': two streams are called 'taps'; rename one"),
        ('View("by_line"', 'View("by line"', 19, "project 'tides': the view name 'by line' does not fit everywhere it is used; begin with"),
        ('Stream("taps"', 'Stream("../taps"', 19, "project 'tides': the stream name '../taps' does not fit everywhere it is used; begin"),
    ],
)
def test_a_mistake_is_reported_with_file_line_thing_and_fix(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert GOOD.count(old) == 1
    error, text = mistake(tmp_path, GOOD.replace(old, new))
    assert text.startswith(f"project.py:{line}: "), text
    assert message in text
    assert error.fix and text.endswith(f"; {error.fix}")
    assert error.where == f"{tmp_path.resolve()}/project.py:{line}"


def test_a_time_that_is_text_is_refused(tmp_path: Path) -> None:
    _, text = mistake(tmp_path, GOOD.replace("    at: int\n", "    at: str\n").replace('col("at")', 'col("fare")'))
    assert "stream 'taps': event_time='at' is text; declare it as an aware datetime, or as int" in text


def test_a_file_without_a_project_says_how_to_end_it(tmp_path: Path) -> None:
    error, text = mistake(tmp_path, GOOD.replace("project = Project", "projekt = Project"))
    assert text == f"project.py: defines no `project`; {error.fix}"
    assert error.fix == 'end it with: project = Project("name", streams=[...])'


def test_a_mended_file_can_be_loaded(tmp_path: Path) -> None:
    mistake(tmp_path, GOOD.replace('"1h"', '"1x"', 1))
    assert load_project(write(tmp_path, GOOD)).name == "tides"


def test_an_error_of_the_fix_is_said_once(tmp_path: Path) -> None:
    error, text = mistake(tmp_path, GOOD.replace("streams=[taps]", "streams=[]"))
    assert len(re.findall(re.escape(error.fix), text)) == 1
