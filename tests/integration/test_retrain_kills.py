"""A retrain that is killed at every named step, one after the other: one champion and one outcome are left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.forked import forked
from tidemill.clock import wall_ms
from tidemill.loop import Admitted
from tidemill.project import Workspace
from tidemill.registry import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    Asker,
    Learnt,
    Registry,
    Release,
    deploy_learnt,
    finish,
    gate,
    guard,
    keep_learnt,
    make_ready,
    mark,
    plan_of,
    register,
    request_retrain,
    resume,
    snapshot,
    train,
)
from tidemill.stores.decision_records import Stage

NAME, PROJECT = "tiny_kills.late_order", "tiny_kills"
MODEL = tiny.LATE_ORDER
# In their order: stages as `mark` writes them down, aliases as they are moved, and what is named here.
CLAIMED, LOGGED, ENDED = "claimed", "logged", "ended"
STEPS = [
    CLAIMED,
    "guarded",
    "snapshot",
    "fitted",
    "judged",
    "ready",
    LOGGED,
    CHALLENGER,
    "registered",
    "deploying",
    PREVIOUS,
    CHAMPION,
    "deployed",
    ENDED,
]
TIMEOUT_S = 240.0


def die_at(step: str, reached: str) -> None:
    """kill -9 of this process if it is the step."""
    if step == reached:
        os.kill(os.getpid(), signal.SIGKILL)


class DyingRegistry(Registry):
    """A registry whose process may be killed right after a version is logged, or an alias moved."""

    step = ""

    def register(self, release: Release) -> int:
        """As ever."""
        version = super().register(release)
        die_at(self.step, LOGGED)
        return version

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """As ever."""
        super().set_alias(name, alias, version)
        die_at(self.step, alias)


def retrain(home: Path, uri: str, decision_id: str, run_id: str, step: str = "") -> None:
    """The steps of the flow `retrain`, each of which may be the last thing this process does."""
    workspace = Workspace.open(tiny.named(PROJECT), home)
    registry, decisions = DyingRegistry(uri, home), workspace.decisions
    registry.step, marks = step, decisions.mark

    def marking(decision: str, run: str, stage: Stage, at_ms: int, findings: Mapping[str, Any] | None = None) -> bool:
        marked = marks(decision, run, stage, at_ms, findings)
        die_at(step, stage)
        return marked

    decisions.mark = marking  # type: ignore[method-assign,assignment]  # to know the moment; it does what it did
    decision = decisions.get(decision_id)
    assert decisions.claim(decision_id, run_id, wall_ms())
    die_at(step, CLAIMED)
    learnt = resume(workspace, registry, MODEL, decision)
    if learnt is None:
        learnt = learn(workspace, registry, decision_id, run_id)
    deploy_learnt(workspace, registry, MODEL, (decision, run_id), learnt)
    finish(workspace, MODEL, decision, run_id, learnt)
    die_at(step, ENDED)
    workspace.close()


def learn(workspace: Workspace, registry: Registry, decision_id: str, run_id: str) -> Learnt:
    """From the guard to what is registered."""
    decision = workspace.decisions.get(decision_id)
    reached = partial(mark, workspace, decision, run_id)
    assert isinstance(guard(workspace, registry, MODEL, decision, run_id), Admitted)
    rows = snapshot(workspace, MODEL)
    reached("snapshot")
    challenger = train(workspace, registry, MODEL, rows, plan_of(workspace, MODEL, decision))
    reached("fitted")
    judged = gate(MODEL, challenger)
    reached("judged")
    ready = make_ready(MODEL, judged, rows)
    reached("ready")
    learnt = Learnt(register(workspace, registry, MODEL, ready, {}), ready.fits, judged.judgement, ready.refit)
    keep_learnt(workspace, registry, MODEL, (decision, run_id), learnt)
    return learnt


@dataclass(frozen=True)
class World:
    """A home whose champion knows the world before it changed."""

    workspace: Workspace
    registry: Registry

    @property
    def aliases(self) -> list[int | None]:
        """Champion and previous."""
        return [self.registry.alias(NAME, alias) for alias in (CHAMPION, PREVIOUS)]


@pytest.fixture
def world(tmp_path: Path, mlflow_uri: str) -> Iterator[World]:
    """Three days of each world."""
    workspace, registry = Workspace.open(tiny.named(PROJECT), tmp_path), Registry(mlflow_uri, tmp_path)
    tiny.live(workspace, 0, 3)
    registry.promote(NAME, tiny.train_version(workspace, registry))
    tiny.live(workspace, 3, 6, slow="cd")
    yield World(workspace, registry)
    workspace.close()


@pytest.mark.timeout(900)
def test_killed_at_every_step_in_turn_a_retrain_leaves_one_champion_and_one_outcome(world: World, mlflow_uri: str) -> None:
    decisions, home = world.workspace.decisions, world.workspace.home
    decision = request_retrain(world.workspace, MODEL, "the world has changed", Asker("ann", "run"))
    versions: list[int] = []
    for number, step in enumerate(STEPS):
        dying = forked(retrain, home, mlflow_uri, decision.id, f"run-{number}", step)
        dying.join(TIMEOUT_S)
        assert dying.exitcode == -signal.SIGKILL, step
        versions = world.registry.versions(NAME)
        ended = decisions.get(decision.id)
        assert (ended.state == "finished") == (step == ENDED)
        assert world.aliases == ([1, None] if number < STEPS.index(PREVIOUS) else [1, 1] if step == PREVIOUS else [versions[-1], 1])
        taken_back = decisions.release_stale(wall_ms() + 1, now_ms=world.workspace.now_ms(), wall_ms=wall_ms(), at_most=len(STEPS))
        assert taken_back == ([] if step == ENDED else [decision.id])
    assert (ended.outcome, ended.from_version, ended.to_version, ended.decided_by) == ("promoted", "1", str(versions[-1]), "gate")
    assert versions == [1, 2, 3, 4], "what was logged and not written down was learnt again, and what was written down was not"
    assert not decisions.claim(decision.id, "one more run", wall_ms())
    assert [one.id for one in decisions.recent()] == [decision.id]
