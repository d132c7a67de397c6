"""A workspace opens everything of a project in one folder, and finds it again."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.events.taps import T0, TAPS, VIEWS, entry
from tidemill.errors import ConflictError
from tidemill.project import Project, Workspace
from tidemill.stores import Lookup
from tidemill.streams import Books, Entry

METRO = Project("metro", streams=[TAPS], views=VIEWS)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(METRO, tmp_path / "home")
    yield opened
    opened.close()


def test_a_new_workspace_is_empty_and_writes_only_into_its_home(workspace: Workspace, tmp_path: Path) -> None:
    assert workspace.now_ms() == 0
    assert workspace.books() == {"taps": Books(0, 0, 0, 0, 0, 0)}
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_what_lies_in_a_home_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "within" / "home"
    with closing(Workspace.open(METRO, home)):
        assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_an_event_goes_all_the_way_and_is_found_again(workspace: Workspace, tmp_path: Path) -> None:
    workspace.log.append([entry("a", T0, T0 + 5, line="x"), Entry("taps", "{", T0 + 6), entry("a", T0, T0 + 7, line="x")], now_ms=0)
    workspace.engine().drain(100)
    assert workspace.lake_writer().step(every_s=3_600, every_events=1) == 1
    again = Workspace.open(METRO, tmp_path / "home")
    for opened in (workspace, again):
        assert opened.now_ms() == T0 + 7
        assert opened.books() == {"taps": Books(received=3, applied=1, duplicate=1, late=0, rejected=1, pending=0)}
        assert opened.state.tiles.read([Lookup("by_line", ["x", "y"])], T0 + 7).values["by_line__n_all"].tolist() == [1, 0]
        assert opened.lake.held("taps") == 1
    again.close()


def test_a_state_of_another_log_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    workspace.log.append([entry("a", T0, T0 + 5, line="x")], now_ms=0)
    workspace.engine().drain(100)
    workspace.close()
    for file in workspace.home.glob("log.db*"):
        file.unlink()
    again = Workspace.open(METRO, tmp_path / "home")
    with pytest.raises(ConflictError, match=r"beyond the end of the log"):
        again.engine()
    again.close()
