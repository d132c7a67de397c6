"""The watch of reactions: where it begins, what it tells, and that two of them do not do a step twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.unit.events.taps import BY_LINE, STAMPS, T0, TAPS, entry
from tidemill.clock import MINUTE_MS, to_utc
from tidemill.errors import ConflictError
from tidemill.features import Reaction, Table, View, col, count, on
from tidemill.project import Project, Workspace
from tidemill.serving.reactions import ReactionWatch
from tidemill.streams import Entry, Position

DEAR = on(TAPS, name="dear", when=col("fare") >= 2, run="investigate/taps")
CHEAP = on(TAPS, name="cheap", when=col("fare") < 2, run="investigate/taps")
Open = Callable[..., Workspace]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the home with these reactions; one workspace after the other, as restarts do."""
    workspaces: list[Workspace] = []

    def one(*reactions: Reaction, **parts: Any) -> Workspace:
        project = Project("tides", streams=[TAPS, STAMPS], reactions=reactions, **{"views": [BY_LINE], **parts})
        workspaces.append(Workspace.open(project, tmp_path))
        return workspaces[-1]

    yield one
    for workspace in workspaces:
        workspace.close()


def tap(workspace: Workspace, *events: Entry) -> None:
    """Events are appended and applied."""
    workspace.log.append(events, 0)
    workspace.engine().drain(100)


def told(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    """What waits of a reaction, as it will be told."""
    return [orjson.loads(waiting.body) for waiting in workspace.reactions.due(name, 0, 1_000)]


def ids(workspace: Workspace, name: str) -> Sequence[str]:
    return [one["event_id"] for one in told(workspace, name)]


def test_the_past_of_a_reaction_is_not_reacted_to(opened: Open) -> None:
    tap(workspace := opened(), entry("t1", T0, fare=3.0))
    ReactionWatch(workspace)
    watch = ReactionWatch(workspace := opened(DEAR))
    assert watch.step() == 0
    tap(workspace, entry("t2", T0 + 1, fare=3.0), entry("t3", T0 + 2, fare=1.0))
    workspace = opened(DEAR, CHEAP)
    assert ReactionWatch(workspace).step() == 1, "t2 waited for the first; t3 was there before the second"
    tap(workspace, entry("t4", T0 + 3, fare=1.0))
    assert ReactionWatch(workspace).step() == 1
    assert (ids(workspace, "dear"), ids(workspace, "cheap")) == (["t2"], ["t4"])


def test_one_that_was_gone_for_a_while_begins_where_it_comes_back(opened: Open) -> None:
    tap(workspace := opened(DEAR), entry("t1", T0, fare=3.0))
    ReactionWatch(workspace)
    workspace = opened()
    assert ReactionWatch(workspace).step() == 0
    tap(workspace, entry("t2", T0 + 1, fare=3.0))
    watch = ReactionWatch(workspace := opened(DEAR))
    tap(workspace, entry("t3", T0 + 2, fare=3.0))
    assert watch.step() == 1
    assert ids(workspace, "dear") == ["t3"]


def test_two_watches_do_a_step_once(opened: Open) -> None:
    workspace = opened(DEAR)
    first, second = ReactionWatch(workspace), ReactionWatch(workspace)
    tap(workspace, entry("t1", T0, fare=3.0))
    assert (first.step(), second.step()) == (1, 0)
    ReactionWatch(opened())
    with pytest.raises(ConflictError, match="another process has a project without reactions on this home"):
        second.step()


def test_a_log_that_is_another_one_is_looked_at_from_where_it_stands(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    workspace = opened(DEAR)
    workspace.reactions.begin(["dear"], Position({"taps": {"0": 50}}))
    watch = ReactionWatch(workspace)
    assert "they had looked beyond the end of the log" in caplog.text
    tap(workspace, entry("t1", T0, fare=3.0))
    assert watch.step() == 1


def test_a_run_or_webhook_is_told_of_event_features_and_position(opened: Open) -> None:
    seats = Table("seats", TAPS, key="gate", columns=["riders", "line"])
    stamped = View("stamped", STAMPS, entity="text", features={"n_1h": count(over="1h")})
    dear = on(
        TAPS,
        name="dear",
        when=(col("fare") >= 2) & col("seats__line").equals("a"),
        features=[BY_LINE, seats],
        webhook="http://127.0.0.1/",
        parameters={"id": "tap_id", "price": "fare", "mean": "by_line__mean_fare", "riders": "riders", "from": "seats__line"},
    )
    seen = {"seen": "seen_at", "ok": "ok", "n": "number"}
    sure = on(STAMPS, name="sure", when=col("sure"), features=[stamped], run="a/b", parameters=seen)
    watch = ReactionWatch(workspace := opened(dear, sure, views=[BY_LINE, stamped], tables=[seats]))
    then = {"at": "2014-05-13T00:02:00Z", "seen_at": "2014-05-13T02:02:00+02:00"}
    stamp = {**then, "number": 2**62, "share": None, "ok": False, "text": None}
    tap(
        workspace,
        entry("t1", T0, line="a", gate="x", riders=7),
        entry("t2", T0 + MINUTE_MS, line="a", gate="x", fare=3.0),
        Entry("stamps", orjson.dumps({"stamp_id": "s1", "sure": True} | stamp).decode(), T0 + 2 * MINUTE_MS),
        Entry("stamps", orjson.dumps({"stamp_id": "s2", "sure": None} | stamp).decode(), T0 + 2 * MINUTE_MS),
    )
    assert watch.step() == 2
    (said,), (stamped_,) = told(workspace, "dear"), told(workspace, "sure")
    features = said.pop("features")
    assert said == {
        "reaction": "dear",
        "stream": "taps",
        "event_id": "t2",
        "event_time": to_utc(T0 + MINUTE_MS).isoformat(),
        "known_at": to_utc(T0 + MINUTE_MS).isoformat(),
        "parameters": {"id": "t2", "price": 3.0, "mean": 3.0, "riders": None, "from": "a"},
        "position": workspace.state.position().token,
    }
    assert list(features) == [*BY_LINE.feature_columns, "seats__riders", "seats__line"]
    assert (features["by_line__n_all"], features["by_line__var_fare"], features["seats__line"]) == (2, None, "a")
    assert stamped_["parameters"] == {"seen": "2014-05-13T02:02:00+02:00", "ok": False, "n": 2**62}
    assert stamped_["features"] == {"stamped__n_1h": 0}, "no entity, no events"
