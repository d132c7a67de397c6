"""The feature watch keeps what the heat map draws: over restarts and versions, however the predictions came in."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.ui.ferry import START_MS, Ferry
from tidemill.clock import HOUR_MS
from tidemill.drift import Heat, profile_reference
from tidemill.registry import Registry
from tidemill.serving.feature_watch import FeatureWatch
from tidemill.stores import Answered
from tidemill.stores.held_versions import held_folder


@pytest.fixture
def ferry(tmp_path_factory: pytest.TempPathFactory) -> Ferry:
    made = Ferry.open(tmp_path_factory.mktemp("ferry"))
    rng = np.random.default_rng(3)
    hours = START_MS + np.arange(4_000) * HOUR_MS
    profile = profile_reference({"ports__mean_delay_3h": rng.normal(size=4_000)}, rng.random(4_000), hours).to_json()
    for version in (1, 2):
        folder = held_folder(made.workspace.home, "ferries.late_ferry", version)
        folder.mkdir(parents=True)
        for name, text in (("reference.json", profile), ("version.json", '{"run_id": "r", "tags": {}}'), ("model.onnx", "")):
            (folder / name).write_text(text)
    return made


def ask(ferry: Ferry, n_rows: int, hour: int, mean: float, version: int = 1) -> None:
    """Predictions of one hour, their feature about `mean`."""
    rng = np.random.default_rng(hour)
    scores = rng.random(n_rows)
    ferry.workspace.predictions.write(
        Answered(
            model="late_ferry",
            at_ms=START_MS + hour * HOUR_MS,
            made_wall_ms=1,
            position="{}",
            digest=ferry.workspace.project.models[0].source_digest,
            keys=[f"h{hour}-{number}" for number in range(n_rows)],
            requests=["{}"] * n_rows,
            numbers=rng.normal(mean, 1.0, (n_rows, 1)),
            scores={"champion": (version, scores), "frozen": (1, scores)},
        )
    )


def step(ferry: Ferry) -> Heat:
    """One step of a watch that has just started, and what it has kept."""
    FeatureWatch(ferry.workspace, Registry("http://127.0.0.1:9", ferry.workspace.home), ferry.workspace.project.models[0]).step()
    state = ferry.workspace.monitors.load("windows:late_ferry")[1]
    assert state is not None
    return Heat.from_state(state["heat"])


def test_each_hour_is_kept_and_a_change_marked_over_restarts_and_versions(ferry: Ferry) -> None:
    for hour in range(4):
        ask(ferry, 200, hour, mean=0.0)
    step(ferry)
    for hour in range(4, 8):
        ask(ferry, 200, hour, mean=3.0)
    heat = step(ferry)
    row = heat.cells["ports__mean_delay_3h"]
    assert (heat.from_ms, len(row)) == (START_MS, 8)
    assert max(row[1:4]) < 100 <= min(row[5:]), "quiet before, and beyond what warns after"
    (change,) = [change for change in heat.changes if change.column == "ports__mean_delay_3h"]
    assert START_MS + 3 * HOUR_MS <= change.since_ms <= change.at_ms <= START_MS + 6 * HOUR_MS

    ask(ferry, 200, 8, mean=0.0, version=2)
    after = step(ferry)
    assert after.cells["ports__mean_delay_3h"][:8] == row, "another version goes on with the same map"
    assert after.cells["ports__mean_delay_3h"][8] < 100
    assert change in after.changes


def test_the_distributions_of_the_last_window_stay_until_the_next(ferry: Ferry) -> None:
    def shapes() -> dict[str, dict[str, list[float]]]:
        state = ferry.workspace.monitors.load("windows:late_ferry")[1]
        assert state is not None
        return dict(state["shapes"])

    ask(ferry, 200, 0, mean=2.0)
    step(ferry)
    shape = shapes()["ports__mean_delay_3h"]
    assert sum(shape["now"][8:]) > 0.8 > 0.6 > sum(shape["reference"][8:])
    ask(ferry, 10, 1, mean=2.0)
    step(ferry)
    assert shapes()["ports__mean_delay_3h"] == shape, "after a restart too"
    ask(ferry, 10, 2, mean=2.0, version=2)
    step(ferry)
    assert shapes() == {}, "another version has its own reference"
