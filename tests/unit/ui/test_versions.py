"""What the page tells of a model's versions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.held import name_versions
from tests.unit.ui.ferry import PROMOTED, START_MS, WALL_MS, Ferry
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.settings import Settings
from tidemill.stores import Answered
from tidemill.ui import Overview, read_overview
from tidemill.ui.overview import Memory
from tidemill.ui.quality_cache import Run
from tidemill.ui.versions import version_spans


def look(ferry: Ferry) -> Overview:
    return read_overview(ferry.workspace, Settings(), WALL_MS)


def test_versions_tell_what_they_are_when_they_began_and_how_they_came(ferry: Ferry) -> None:
    ferry.sail(10)
    ferry.sail(6, first_day=10, version=2)
    ferry.decide("d1", PROMOTED)
    name_versions(ferry.workspace, {"champion": 2, "previous": 1, "frozen": 1, "canary": 3})
    versions = look(ferry).models[0].versions
    assert [row.version for row in versions.rows] == ["3", "2", "1"]
    third, second, first = versions.rows
    assert (third.aliases, third.from_ms, third.decision) == (("canary",), None, None)
    assert (second.from_ms, second.decision and second.decision.id) == (START_MS + 10 * DAY_MS + 8 * HOUR_MS, "d1")
    assert first.aliases == ("previous", "frozen")
    assert (second.n, "log_loss" in second.figures) == (6 * 24, True)
    assert (versions.previous, versions.others) == ("1", ("3", "1"))
    assert [(span.version, span.until_ms) for span in versions.spans] == [("1", second.from_ms), ("2", look(ferry).now_ms)]


def test_a_shadow_is_held_against_the_champion_on_the_same_questions(ferry: Ferry) -> None:
    ferry.sail(2)
    name_versions(ferry.workspace, {"champion": 1, "shadow": 2})
    assert [(trial.role, trial.n_outcomes) for trial in look(ferry).models[0].versions.trials] == [("shadow", 0)]
    at_ms = ferry.workspace.now_ms() + HOUR_MS
    said = np.array([0.2, 0.8])
    both = Answered(
        model="late_ferry",
        at_ms=at_ms,
        made_wall_ms=WALL_MS,
        position="{}",
        digest=ferry.workspace.project.models[0].source_digest,
        keys=["s1", "s2"],
        requests=["{}"] * 2,
        numbers=np.zeros((2, 1)),
        scores={"champion": (1, said), "shadow": (2, 1 - said)},
    )
    ferry.workspace.predictions.write(both)
    ferry.arrive(["s1", "s2"], at_ms + HOUR_MS, [0.0, 30.0])
    (trial,) = look(ferry).models[0].versions.trials
    assert (trial.version, trial.n_outcomes) == (2, 2)
    assert trial.champion["log_loss"] < trial.figures["log_loss"]
    # while it was away, the champion was wrong, of keys that were asked before too
    keys = ["s3", "s4", "s1", "s2"]
    away = replace(both, keys=keys, requests=["{}"] * 4, numbers=np.zeros((4, 1)), at_ms=at_ms + HOUR_MS // 2)
    ferry.workspace.predictions.write(replace(away, scores={"champion": (1, np.tile(1 - said, 2))}))
    ferry.arrive(keys, at_ms + HOUR_MS, [0.0, 30.0] * 2)
    (later,) = look(ferry).models[0].versions.trials
    assert (later.n_outcomes, later.champion, later.figures) == (2, trial.champion, trial.figures)


def test_trials_are_compared_anew_only_now_and_then(ferry: Ferry) -> None:
    ferry.sail(1)
    name_versions(ferry.workspace, {"champion": 1, "shadow": 2})
    memory = Memory()
    first, same, later = (read_overview(ferry.workspace, Settings(), WALL_MS + ms, memory).models[0] for ms in (0, 5_000, 31_000))
    assert first.versions.trials is same.versions.trials
    assert later.versions.trials == first.versions.trials
    assert later.versions.trials is not first.versions.trials


def test_nothing_that_answered_has_no_spans() -> None:
    assert version_spans([], 5) == ()
    assert version_spans([Run("1", 5)], 5) == ()
