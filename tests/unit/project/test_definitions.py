"""A definition changed under the same name and version is refused; under another version it begins anew and is filled."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.events.taps import BY_LINE, BY_LINE_AND_GATE, T0, TAPS, entry
from tidemill.errors import ProjectError
from tidemill.features import Feature, View, count, mean, quantile
from tidemill.project import Project, Workspace, load_project
from tidemill.project.definitions import check_definitions
from tidemill.stores import Lookup

FEATURES = {"n": count(over="1h"), "fare": mean("fare", over="3h", bucket="5min")}
LINES = View("lines", TAPS, entity="line", features=FEATURES)
GATES = View("gates", TAPS, entity="gate", features=FEATURES)
DEAR = BY_LINE.features["dear"].expression
FILE = """
from pydantic import BaseModel
from tidemill import Project, Stream, View, count

class Tap(BaseModel):
    tap_id: str
    at: int
    line: str | None = None

taps = Stream("taps", schema=Tap, event_time="at", event_id="tap_id", allowed_lateness="1h")
by_line = View("by_line", taps, entity="line", features={"n": count(over="1h")})
project = Project("tides", streams=[taps], views=[by_line])
"""


def metro(*views: View) -> Project:
    return Project("metro", streams=[TAPS], views=views)


def changed(**features: Feature) -> View:
    return replace(LINES, features={**FEATURES, **features})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that has seen both views and three taps."""
    workspace = Workspace.open(metro(LINES, GATES), tmp_path)
    workspace.log.append([entry(f"t{place}", T0 + place, line="a", gate="x", fare=2.0) for place in range(3)], now_ms=0)
    workspace.engine().drain(10)
    workspace.lake_writer().flush()
    workspace.close()
    return tmp_path


@pytest.fixture
def as_before() -> Iterator[None]:
    """A loaded project stays importable; not after the test."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("tidemill_project_"):
            del sys.modules[name]


def refusal(home: Path, *views: View, remember: bool = True) -> ProjectError:
    with pytest.raises(ProjectError) as caught:
        Workspace.open(metro(*views), home, remember=remember)
    return caught.value


def test_an_unchanged_project_opens_again_and_again(home: Path) -> None:
    for _ in range(2):
        workspace = Workspace.open(metro(LINES, GATES), home)
        assert [one.version for one in workspace.state.definitions.of("lines")] == [1]
        workspace.close()


def test_a_changed_feature_is_named_with_what_it_was_and_is(home: Path) -> None:
    error = refusal(home, changed(n=count(over="2h")), GATES)
    assert error.where == "view 'lines' version 1"
    assert error.fix == "write version=2 in the view, then `tidemill backfill lines` fills it; or give it another name"
    assert str(error) == (
        "view 'lines' version 1: does not mean what it meant: "
        f"feature 'n' was count() over 1h, bucket 1min, is count() over 2h, bucket 5min; {error.fix}"
    )


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (
            changed(p90=quantile("fare", 0.9, over="1h")),
            "feature 'p90' was not there, is quantile[0.01](\"fare\", 0.9) over 1h",
        ),
        (replace(LINES, features={"n": FEATURES["n"]}), "feature 'fare' was mean(\"fare\") over 3h, bucket 5min, is gone"),
        (replace(LINES, entity=("line", "gate")), "its entity was line, is line,gate"),
        (replace(LINES, where=DEAR), 'over 1h, bucket 1min, is count(1 when ("fare" >= 2)) over 1h, bucket 1min'),
    ],
    ids=["added", "gone", "entity", "where"],
)
def test_every_part_of_a_definition_counts(home: Path, view: View, said: str) -> None:
    assert said in str(refusal(home, view, GATES))


def test_the_others_that_changed_are_named_too(home: Path) -> None:
    gates = replace(GATES, features={"n": count(over="2h")})
    error = refusal(home, changed(n=count(over="2h")), gates)
    said = sorted(re.findall(r"(?:view|Changed too:) '(\w+)' version 1", str(error)))
    assert said == ["gates", "lines"]


def test_who_only_looks_is_refused_too(home: Path) -> None:
    refusal(home, changed(n=count(over="2h")), GATES, remember=False)


def test_a_refused_project_leaves_nothing_behind(home: Path) -> None:
    other = View("other", TAPS, entity="line", features=FEATURES)
    refusal(home, changed(n=count(over="2h")), other)
    workspace = Workspace.open(metro(LINES, GATES), home)
    assert workspace.state.definitions.of("other") == []
    assert workspace.state.sets.partial() == []
    workspace.close()


def test_a_new_version_is_missing_until_it_is_filled_and_then_knows_the_past(home: Path) -> None:
    second = replace(changed(n=count(over="2h")), version=2)
    workspace = Workspace.open(metro(second, GATES), home)
    lookups = [Lookup("lines", ["a"]), Lookup("gates", ["x"])]

    def read() -> list[str]:
        values = workspace.state.tiles.read(lookups, T0 + 3).values
        return [f"{values[column][0]:g}" for column in ("lines__n", "lines__fare", "gates__n")]

    assert workspace.state.sets.partial() == ["lines"]
    assert read() == ["nan", "nan", "3"]
    workspace.log.append([entry("t3", T0 + 3, line="a", gate="x", fare=6.0)], now_ms=T0 + 3)
    workspace.engine().drain(10)
    assert workspace.backfill("lines") == 3
    assert read() == ["4", "3", "4"]
    assert [one.version for one in workspace.state.definitions.of("lines")] == [1, 2]
    workspace.close()


def test_a_version_with_the_same_features_has_tiles_of_its_own(home: Path) -> None:
    workspace = Workspace.open(metro(replace(LINES, version=2), GATES), home)
    assert workspace.state.sets.partial() == ["lines"]
    workspace.close()


def test_the_free_version_is_named(home: Path) -> None:
    Workspace.open(metro(replace(LINES, version=2), GATES), home).close()
    assert "write version=3 in the view" in str(refusal(home, changed(n=count(over="2h")), GATES))


def test_a_definition_under_work_may_change_until_something_is_made_of_it(home: Path) -> None:
    draft = View("draft", TAPS, entity="line", features={"n": count(over="1h")})
    better = replace(draft, features={"n": count(over="2h")})
    for view in (draft, better):
        Workspace.open(metro(LINES, GATES, view), home, remember=False).close()
    workspace = Workspace.open(metro(LINES, GATES, better), home, remember=False)
    workspace.engine()
    assert [one.digest for one in workspace.state.definitions.of("draft")] == [better.digest]
    workspace.close()
    assert refusal(home, LINES, GATES, draft).where == "view 'draft' version 1"


@pytest.mark.parametrize("act", ["engine", "backfill"])
def test_an_engine_and_a_backfill_stop_when_another_project_came_first(home: Path, act: str) -> None:
    mine = View("draft", TAPS, entity="line", features={"n": count(over="1h")})
    workspace = Workspace.open(metro(LINES, GATES, mine), home, remember=False)
    Workspace.open(metro(LINES, GATES, replace(mine, features={"n": count(over="2h")})), home).close()
    with pytest.raises(ProjectError, match="view 'draft' version 1: does not mean what it meant"):
        workspace.engine() if act == "engine" else workspace.backfill("draft")
    assert workspace.state.sets.partial() == ["draft"], "and no tile was made"
    workspace.close()


@pytest.mark.usefixtures("as_before")
def test_two_project_files_of_one_home_agree_or_the_second_is_refused(tmp_path: Path) -> None:
    texts = {
        "one": FILE,
        "two": FILE.replace('Project("tides"', 'Project("ebbs"'),
        "three": FILE.replace('Project("tides"', 'Project("floods"').replace('over="1h"', 'over="2h"'),
    }
    files = {name: tmp_path / f"{name}.py" for name in texts}
    for name, text in texts.items():
        files[name].write_text(text)
    home = tmp_path / "home"
    Workspace.open(load_project(files["one"]), home).close()
    Workspace.open(load_project(files["two"]), home).close()
    with pytest.raises(ProjectError, match=r"view 'by_line' version 1: does not mean .* feature 'n' was count\(\) over 1h"):
        Workspace.open(load_project(files["three"]), home)
    Workspace.open(load_project(files["three"]), tmp_path / "another home").close()


def test_a_home_learns_the_definitions_of_a_project_it_never_saw(tmp_path: Path) -> None:
    workspace = Workspace.open(metro(BY_LINE, BY_LINE_AND_GATE), tmp_path, remember=False)
    assert workspace.state.definitions.of("by_line") == []
    check_definitions(workspace.state, workspace.project.views, remember=True)
    (remembered,) = workspace.state.definitions.of("by_line")
    assert (remembered.text, remembered.first_seen_ms) == (BY_LINE.definition, 0)
    workspace.close()
