"""The person in the demo asks once, some days after an automatic promotion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests import tiny
from tidemill.cli.by_hand import ByHand
from tidemill.clock import DAY_MS
from tidemill.project import Workspace
from tidemill.stores import Decision
from tidemill.stores.decision_records import Ending, Outcome


@pytest.fixture
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Of the tiny project."""
    workspace = Workspace.open(tiny.project, tmp_path_factory.mktemp("by_hand"))
    yield workspace
    workspace.close()


def ended(workspace: Workspace, trigger: Any, outcome: Outcome, at_ms: int = 2 * DAY_MS) -> None:
    """A decision that was asked for on day 1 has ended so."""
    name = f"{trigger} {outcome}"
    assert workspace.decisions.request(Decision(name, "late_order", trigger, name, "errors rose", DAY_MS, 1, {}, from_version="1"))
    assert workspace.decisions.claim(name, "run", 1)
    assert workspace.decisions.finish(name, Ending(outcome, "so", at_ms, 2, to_version="2", fits=1), "run")


def test_it_is_asked_once_and_late_enough(workspace: Workspace) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def start(deployment: str, parameters: dict[str, Any]) -> UUID:
        asked.append((deployment, parameters))
        return uuid4()

    person = ByHand(workspace, start, 8 * DAY_MS)
    assert person.step(30 * DAY_MS) is None, "nothing was promoted yet"
    ended(workspace, "error", "rejected")
    ended(workspace, "manual", "promoted")
    assert person.step(30 * DAY_MS) is None, "nothing was promoted by itself"
    ended(workspace, "error", "promoted", 3 * DAY_MS)
    assert person.step(9 * DAY_MS - 1) is None
    assert person.step(9 * DAY_MS) is not None
    assert person.step(30 * DAY_MS) is None
    [(deployment, parameters)] = asked
    assert deployment == f"retrain/{tiny.project.name}"
    assert parameters["model"] == "late_order"


def test_nobody_asks_where_nobody_shall(workspace: Workspace) -> None:
    ended(workspace, "error", "promoted")
    assert ByHand(workspace, lambda *_: uuid4(), 0).step(30 * DAY_MS) is None
