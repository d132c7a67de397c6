"""A version made ready: what it has answered before anybody else asks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests import tiny
from tests.held import hold_champion
from tidemill.errors import NotReadyError
from tidemill.events import FieldKind
from tidemill.kernels import Floats
from tidemill.learning import OnnxModel, Scorer, Vectors
from tidemill.project import Workspace
from tidemill.registry import Registry, Version
from tidemill.serving import Champions


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """One whose home holds a champion of the tiny project, while the registry is down."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with closing(Workspace.open(tiny.project, tmp_path)) as made:
        hold_champion(made)
        yield made


class Noted(OnnxModel):
    """A model that keeps what it was asked, and whether somebody could have been served by it."""

    def __init__(self, content: bytes, columns: Mapping[str, FieldKind], champions: Champions) -> None:
        super().__init__(content, columns)
        self.asked: list[Vectors] = []
        self.served: list[bool] = []
        self._champions = champions

    def run(self, vectors: Vectors) -> Floats:
        self.asked.append(vectors)
        try:
            self._champions.serving("late_order")
        except NotReadyError:
            self.served.append(False)
        else:
            self.served.append(True)
        return super().run(vectors)


def test_a_version_has_answered_few_and_many_rows_before_it_serves(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry("http://127.0.0.1:9", workspace.home)
    champions = Champions(workspace, registry, "test")

    def open_noted(version: Version, columns: Mapping[str, FieldKind]) -> Scorer:
        return Noted(version.onnx, columns, champions)

    monkeypatch.setattr(registry, "open", open_noted)
    champions.refresh(0)
    champion = champions.serving("late_order").champion
    scorer = champion.scorer
    assert isinstance(scorer, Noted)
    assert [len(vectors) for vectors in scorer.asked] == [1, 2, 64]
    assert scorer.served == [False] * 3
    columns = scorer.asked[1].by_column()
    assert columns["shop"].tolist() == [champion.typical["shop"]] * 2
    assert champion.typical["shop"] in [*tiny.SHOPS], "rows like those that it has learnt from"
