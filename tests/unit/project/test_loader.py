"""A project file is found and loaded; every mistake in it names the place, the thing and the fix."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tidemill.errors import NotFoundError, ProjectError
from tidemill.project import Project, find_project, load_project

GOOD = """
from pydantic import BaseModel

from tidemill import Label, Model, Project, Requests, Stream, View, col, count, derive, mean


class Tap(BaseModel):
    tap_id: str
    at: int
    line: str
    fare: float | None


class Question(BaseModel):
    tap_id: str
    line: str


def estimator():
    return None


def is_long(line):
    return [len(name) > 3 for name in line]


taps = Stream("taps", schema=Tap, event_time="at", event_id="tap_id")
by_line = View("by_line", taps, entity="line", features={"n": count(over="1h"), "fare": mean("fare", over="3h")})
dear = Model(
    "dear",
    request=Question,
    requests=Requests(taps, at=col("at") - 1),
    features=["line", by_line, derive(is_long)],
    label=Label(taps, key="tap_id", value=col("fare") >= 2, within="1h"),
    estimator=estimator,
)
project = Project("metro", streams=[taps], views=[by_line], models=[dear])
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a project file of its own folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))  # loading puts that folder on it

    def write_one(text: str) -> Path:
        file = tmp_path / "project.py"
        file.write_text(text)
        return file

    return write_one


def test_a_good_file_is_loaded(write: Write) -> None:
    file = write(GOOD)
    project = load_project(file)
    assert isinstance(project, Project)
    assert (project.stream_names, project.retention_ms) == (["taps"], {"taps": (3 * 60 + 5 + 24 * 60) * 60_000})
    assert (project.view("by_line").name, project.model("dear").name) == ("by_line", "dear")
    assert project.registered_name("dear") == "metro.dear"
    assert list(project.labels) == ["dear"]
    assert load_project(file) is project  # and once only, so that its classes stay themselves
    assert find_project(file.parent) == file


def test_what_is_not_there_is_named_with_what_is(write: Write) -> None:
    project = load_project(write(GOOD))
    for ask, kind, there in ((project.stream, "stream", "taps"), (project.view, "view", "by_line"), (project.model, "model", "dear")):
        with pytest.raises(NotFoundError, match=rf"no {kind} 'nix'; there is: {there}"):
            ask("nix")


# What to change in the good file, where the mistake is reported, what is said, and the fix.
MISTAKES = [
    (
        'event_time="at"',
        'event_time="when"',
        "taps = Stream",
        "event_time='when' is not a field of Tap",
        "choose one of tap_id, at, line, fare",
    ),
    ('event_time="at"', 'event_time="line"', "project = ", "stream 'taps': event_time='line' is text", "declare it as an aware datetime"),
    ('event_id="tap_id"', 'event_id="fare"', "taps = Stream", "stream 'taps': event_id='fare' is not text", "declare it as str"),
    ("fare: float | None", "fare: list[float]", "taps = Stream", "stream 'taps': field 'fare' has the type", "use int, float, bool, str"),
    ('entity="line"', 'entity="lime"', "by_line = View", "view 'by_line': entity 'lime' is not a text field", "choose of tap_id, line"),
    ('mean("fare"', 'mean("fair"', "by_line = View", "view 'by_line', feature 'fare': 'fair' is not a number", "choose of at, fare"),
    (
        'over="3h")',
        'over="3h", bucket="7min")',
        "by_line = View",
        "'fare': a window of 3h is not a multiple",
        "use over='175min' or",
    ),
    ('over="3h")', 'over="3h", bucket="1s")', "by_line = View", "makes more than 400 tiles", "set bucket='1min', or over='400s' at most"),
    ('over="3h")', 'over="3 hours")', "by_line = View", "'3 hours' is not a duration", "e.g. '6h'"),
    ('over="3h")', 'ove="3h")', "by_line = View", "unexpected keyword argument 'ove'", "mend this line"),
    ('key="tap_id"', 'key="fare"', "    label=Label", "key 'fare' is not a text field", "choose of tap_id, line"),
    ('key="tap_id"', 'key="other"', "    label=Label", "key 'other' is not a text field", "choose of tap_id, line"),
    ('col("fare") >= 2, within', 'col("fare") == 2, within', "    label=Label", "False is not an expression", "col('x').equals(15)"),
    ('within="1h"', 'within="soon"', "    label=Label", "'soon' is not a duration", "within='6h'"),
    (
        'features=["line",',
        'features=["lime",',
        "dear = Model",
        "model 'dear': 'lime' is not a field of the",
        "choose of tap_id, line",
    ),
    (
        "def is_long(line)",
        "def is_long(lime)",
        "dear = Model",
        "model 'dear': derive(is_long) reads 'lime'",
        "name a request field or",
    ),
    (
        "    line: str\n\n\ndef",
        "    line: str\n    age: int\n\n\ndef",
        "dear = Model",
        "field 'age' has no history",
        "add 'age' to stream",
    ),
    ("streams=[taps]", "streams=[]", "project = ", "view 'by_line' reads stream 'taps'", "add it to streams=[...]"),
    ("streams=[taps]", "streams=[taps, taps]", "project = ", "two streams are called 'taps'", "rename one"),
    ("views=[by_line]", "views=[]", "project = ", "model 'dear' reads view 'by_line'", "add it to views=[...]"),
    ('Project("metro"', 'Project("../metro"', "project = ", "the project name '../metro' does not fit", "begin with a letter"),
    ('Stream("taps"', 'Stream("my taps"', "project = ", "the stream name 'my taps' does not fit", "begin with a letter"),
    ("taps = Stream", "taps = Strom", "taps = Strom", "NameError: name 'Strom' is not defined", "mend this line"),
    ("def estimator():", "def estimator(:", "def estimator(:", "SyntaxError", "mend this line"),
    ("from pydantic", "from pydantik", "from pydantik", "No module named 'pydantik'", "mend this line"),
]


@pytest.mark.parametrize(("right", "wrong", "line", "said", "fix"), MISTAKES, ids=[f"{mistake[1].strip()[:40]}" for mistake in MISTAKES])
def test_a_mistake_names_the_line_the_thing_and_the_fix(write: Write, right: str, wrong: str, line: str, said: str, fix: str) -> None:
    assert GOOD.count(right) >= 1
    text = GOOD.replace(right, wrong, 1)
    file = write(text)
    with pytest.raises(ProjectError) as caught:
        load_project(file)
    message = str(caught.value)
    number = next(place for place, found in enumerate(text.splitlines(), 1) if found.startswith(line))
    assert re.match(rf"{re.escape(str(file))}:(\d+)", message), message
    assert caught.value.where == f"{file}:{number}", message
    assert said in message
    assert fix in message
    assert caught.value.fix and message.endswith(caught.value.fix)


@pytest.mark.parametrize("text", ["", "project = None", "def project(): ...", GOOD.replace("project = Project", "projekt = Project")])
def test_a_file_without_a_project_says_how_it_ends(write: Write, text: str) -> None:
    with pytest.raises(ProjectError, match=r"project\.py: defines no `project`; end it with: project = Project\("):
        load_project(write(text))


def test_a_file_that_is_not_there_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"nix\.py: no such project file; give one with --project PATH"):
        load_project(tmp_path / "nix.py")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ProjectError, match=r"notes\.txt: not a Python file; a project file ends in \.py"):
        load_project(tmp_path / "notes.txt")


def test_a_mended_file_loads(write: Write) -> None:
    with pytest.raises(ProjectError):
        load_project(write(GOOD.replace("taps = Stream", "taps = Strom")))
    assert load_project(write(GOOD)).name == "metro"


def test_a_file_may_import_its_neighbours(write: Write, tmp_path: Path) -> None:
    (tmp_path / "metro_neighbour.py").write_text('NAME = "tram"\n')
    text = GOOD.replace('Project("metro"', "Project(NAME").replace("\nfrom tidemill", "\nfrom metro_neighbour import NAME\nfrom tidemill")
    assert load_project(write(text)).name == "tram"
