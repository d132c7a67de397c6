"""Keys as people write them, and values at a time that passes while they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests import tabled, tiny
from tidemill.features.view import make_keys
from tidemill.project import Workspace
from tidemill.serving.features import read_features, split_key
from tidemill.stores import MappedState
from tidemill.streams import Entry, Position

T0 = tiny.START_MS
PARTS = st.lists(st.text(alphabet="ab,\\", max_size=5), min_size=2, max_size=4)


@given(parts=PARTS)
def test_a_key_is_split_into_what_made_it(parts: list[str]) -> None:
    (key,) = make_keys([np.array([part], dtype=object) for part in parts])
    assert key is not None
    assert split_key(key) == parts


class MovingState(MappedState):
    """A state that an engine changes right after someone has asked how far it has come."""

    meanwhile: Callable[[], object] | None = None

    def position_and_time(self) -> tuple[Position, int]:
        found, act = super().position_and_time(), self.meanwhile
        self.meanwhile = None
        if act is not None:
            act()
        return found


def test_a_time_that_the_engine_passes_meanwhile_is_answered_from_the_lake(tmp_path: Path) -> None:
    """By then the row that held is gone from the store, and the newer one does not hold yet at that time."""
    opened = Workspace.open(tabled.project, tmp_path)
    opened.state.close()
    project = tabled.project
    state = MovingState(tmp_path / "state.db", project.sources, project.labels, project.retention_ms)
    workspace = replace(opened, state=state)

    def happen(*entries: Entry) -> None:
        workspace.log.append(list(entries), 0)
        workspace.engine().drain(10)
        workspace.lake_writer().flush()

    happen(tabled.row("a1", T0, "a", size=1))
    assert read_features(workspace, tabled.SHOP_INFO, "a", T0 + 5).source == "rows"
    state.meanwhile = lambda: happen(tabled.row("a2", T0 + 10, "a", size=2))
    answer = read_features(workspace, tabled.SHOP_INFO, "a", T0 + 5)
    assert (answer.source, answer.at_ms, answer.values["size"]) == ("lake", T0 + 5, 1)
    happen(tabled.row("a3", T0 + 20, "a", size=3))
    answer = read_features(workspace, tabled.SHOP_INFO, "a", None)
    assert (answer.source, answer.at_ms, answer.values["size"]) == ("rows", T0 + 20, 3)
    workspace.close()
