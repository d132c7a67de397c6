"""A project answers by name, and a workspace opens all it needs in one folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.events.taps import BY_LINE, BY_LINE_AND_GATE, RETENTION_MS, STAMPS, T0, TAPS, entry
from tidemill.clock import DAY_MS
from tidemill.errors import NotFoundError, ProjectError
from tidemill.project import Project, Workspace
from tidemill.stores import OFFSET, Lookup

PROJECT = Project("tides", streams=[TAPS, STAMPS], views=[BY_LINE, BY_LINE_AND_GATE])


def test_things_are_found_by_name() -> None:
    assert PROJECT.stream("taps") is TAPS
    assert PROJECT.view("by_line") is BY_LINE
    assert PROJECT.registered_name("dear") == "tides.dear"
    with pytest.raises(NotFoundError, match="no stream 'tap'; there is: stamps, taps"):
        PROJECT.stream("tap")
    with pytest.raises(NotFoundError, match="no view 'taps'; there is: by_line, by_line_and_gate"):
        PROJECT.view("taps")
    with pytest.raises(NotFoundError, match=r"no model 'dear'$"):
        PROJECT.model("dear")


def test_retention_is_the_longest_need_of_a_stream() -> None:
    assert PROJECT.retention_ms == {"taps": RETENTION_MS["taps"], "stamps": DAY_MS}


@pytest.mark.parametrize("name", ["", "1st", "a.b", "a b", "a/b", "..", "é", "a-b", "a\n"])
def test_a_name_must_fit_wherever_it_is_used(name: str) -> None:
    with pytest.raises(ProjectError, match="does not fit everywhere it is used; begin with a letter"):
        Project(name, streams=[TAPS])


def test_a_workspace_takes_an_event_from_the_log_to_the_lake(tmp_path: Path) -> None:
    workspace = Workspace.open(PROJECT, tmp_path / "home")
    assert workspace.now_ms() == 0
    workspace.log.append([entry("t1", T0, line="a", fare=3.0), entry("t1", T0), entry("t2", T0 + 5, line="a")], now_ms=0)
    assert workspace.books()["taps"].pending == 3
    assert workspace.engine().drain(10) == 3
    assert workspace.now_ms() == T0 + 5
    books = workspace.books()
    assert (books["taps"].applied, books["taps"].duplicate, books["stamps"].received) == (2, 1, 0)
    assert all(book.balanced for book in books.values())
    assert workspace.lake_writer().flush() == 2
    workspace.close()

    again = Workspace.open(PROJECT, tmp_path / "home")
    assert again.books() == books
    assert again.state.tiles.read([Lookup("by_line", ["a"])], T0 + 5).values["by_line__n_all"].tolist() == [2.0]
    assert sorted(again.lake.dataset("taps").to_table().column(OFFSET).to_pylist()) == [1, 3]
    assert again.home.is_absolute()
    again.close()
