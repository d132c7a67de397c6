"""The loop on a real MLflow server, step by step as the flows take them: killed anywhere, on probation, fed with garbage."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.forked import end_after
from tidemill.clock import DAY_MS, HOUR_MS, wall_ms
from tidemill.errors import ConflictError, UnfitRowsError
from tidemill.learning import OnnxModel, TrainingSet
from tidemill.loop import Admitted, Refused
from tidemill.project import Workspace
from tidemill.registry import (
    CHAMPION,
    PREVIOUS,
    Asker,
    Learnt,
    Plan,
    Registry,
    carry_out,
    deploy_learnt,
    finish,
    gate,
    guard,
    keep_learnt,
    learn_more,
    make_ready,
    register,
    request_retrain,
    resume,
    snapshot,
    train,
)
from tidemill.registry.estimators import read_estimator
from tidemill.registry.faults import NULL_OUTCOMES
from tidemill.serving.follow_ups import UpdateWatch
from tidemill.serving.probation import ProbationWatch
from tidemill.stores import Answered, Decision, DecisionStore, PredictionStore, open_loop, open_state
from tidemill.stores.decision_records import Ending
from tidemill.streams import Entry

NAME = "tiny_loop.late_order"
MODEL = tiny.LATE_ORDER
CHANGE_DAY, LAST_DAY = 3, 6


@dataclass(frozen=True)
class Loop:
    """A workspace in which the slow shops changed on day 3: version 1 knows the world before, version 2 the one after."""

    workspace: Workspace
    registry: Registry
    rows: TrainingSet
    learnt: Learnt
    decision: Decision

    def aliases(self) -> tuple[int | None, int | None]:
        """Champion and previous."""
        return self.registry.alias(NAME, CHAMPION), self.registry.alias(NAME, PREVIOUS)

    def serve(self, champion: int, previous: int) -> None:
        """Set the aliases."""
        self.registry.set_alias(NAME, PREVIOUS, previous)
        self.registry.set_alias(NAME, CHAMPION, champion)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[Loop]:
    """A retrain after an alarm, as far as registering."""
    home = tmp_path_factory.mktemp("loop")
    workspace, registry = Workspace.open(tiny.named("tiny_loop"), home), Registry(mlflow_uri, home)
    tiny.live(workspace, 0, CHANGE_DAY)
    registry.promote(NAME, tiny.train_version(workspace, registry))
    tiny.live(workspace, CHANGE_DAY, LAST_DAY, slow="cd")
    since_ms = tiny.START_MS + CHANGE_DAY * DAY_MS
    decision = replace(asked(workspace, "the retrain"), trigger="error", evidence={"since_ms": since_ms}, alarm_key="alarm")
    assert workspace.decisions.request(decision)
    assert workspace.decisions.claim(decision.id, "run-1", wall_ms())
    assert isinstance(guard(workspace, registry, MODEL, decision, "run-1"), Admitted)
    rows = snapshot(workspace, MODEL)
    judged = gate(MODEL, train(workspace, registry, MODEL, rows, Plan(since_ms, 8)))
    ready = make_ready(MODEL, judged, rows)
    learnt = Learnt(register(workspace, registry, MODEL, ready, {"decision": decision.id}), ready.fits, judged.judgement, ready.refit)
    keep_learnt(workspace, registry, MODEL, (decision, "run-1"), learnt)
    yield Loop(workspace, registry, rows, learnt, decision)
    workspace.close()


def asked(workspace: Workspace, name: str) -> Decision:
    """A retrain by hand; not in the store."""
    now_ms = workspace.now_ms()
    return Decision(name, MODEL.name, "manual", name, "a test", now_ms, wall_ms(), from_version="1")


def held(loop: Loop, decision: Decision) -> Decision:
    """The same, in the store and claimed by `run`."""
    assert loop.workspace.decisions.request(decision)
    assert loop.workspace.decisions.claim(decision.id, "run", wall_ms())
    return decision


def test_after_a_change_what_is_tried_and_what_is_not_is_written_down(loop: Loop) -> None:
    found = loop.workspace.decisions.get(loop.decision.id)
    told = {one["window"]: one for one in found.findings["candidates"]}
    assert {"change", "recent", "all"} == set(told)
    best = next(one for one in told.values() if one.get("best"))
    assert (best["window"], best["promoted"]) == ("change", True), "only it knows nothing of the old world"
    assert best["gain"] > 0 and best["interval"][0] < best["gain"] < best["interval"][1]
    assert best["latency_ms"][1] > 0 and len(best["calibration"]) == 2
    assert "left_out" in told["recent"] and ("left_out" in told["all"] or told["all"]["gain"] < best["gain"])
    assert (loop.learnt.version, loop.learnt.judgement.champion, loop.learnt.judgement.verdict.promote) == (2, 1, True)
    assert loop.learnt.refit["served"] == "refitted"
    assert found.findings["guard"]["labels"] > 1_000
    assert found.findings["mlflow_run"].startswith("http")
    assert loop.registry.load(NAME, 2).tags["window"] == "change"


def predict(loop: Loop, version: int, from_ms: int) -> int:
    """Ask a version what was asked since a time, as a server would have; answers how many."""
    rows = loop.rows.rows(loop.rows.at_ms >= from_ms)
    said = OnnxModel(loop.registry.load(NAME, version).onnx, MODEL.columns).score(rows.columns)
    numbers = np.column_stack([rows.columns[name] for name in MODEL.number_columns])
    for row, at_ms in enumerate(rows.at_ms.tolist()):
        request = f'{{"order_id": "{rows.keys[row]}", "shop": "{rows.columns["shop"][row]}"}}'
        loop.workspace.predictions.write(
            Answered(
                model=MODEL.name,
                at_ms=at_ms,
                made_wall_ms=wall_ms(),
                position="{}",
                digest=MODEL.source_digest,
                keys=[rows.keys[row]],
                requests=[request],
                numbers=numbers[row : row + 1],
                scores={"champion": (version, said[row : row + 1])},
            )
        )
    return len(rows)


def promoted(loop: Loop, name: str, version: int, before: int, days_ago: int) -> Decision:
    """A promotion some days ago."""
    decision = replace(asked(loop.workspace, name), from_version=str(before))
    decisions = loop.workspace.decisions
    decisions.request(decision)
    assert decisions.claim(decision.id, name, wall_ms())
    at_ms = loop.workspace.now_ms() - days_ago * DAY_MS
    assert decisions.finish(decision.id, Ending("promoted", "a test", at_ms, 1, str(before), str(version), decided_by="gate"), name)
    loop.serve(version, before)
    return decisions.get(decision.id)


def test_a_better_champion_stays_and_one_that_turns_out_worse_is_rolled_back(loop: Loop) -> None:
    """The drill: version 2 knows the new world, so over version 1 it must stay, and version 1 promoted over it must go."""
    workspace, decisions = loop.workspace, loop.workspace.decisions
    model = replace(MODEL, policy=replace(MODEL.policy, probation="20h", probation_labels=300))
    patient = replace(model, policy=replace(model.policy, probation="60h"))
    good = promoted(loop, "good", 2, 1, days_ago=2)
    predict(loop, 2, good.finished_at_ms or 0)
    for watched, ended in ((patient, False), (model, True)):
        assert ProbationWatch(workspace, loop.registry, watched).step() == []
        state = workspace.monitors.load("probation:late_order")[1]
        assert state is not None
        assert (state["promotion"], state["ended"], state["found"]["against"]) == ("good", ended, "")
        assert state["found"]["loss"]["gain"] > 0 and state["found"]["error_rate"]["gain"] >= 0
    assert loop.aliases() == (2, 1)

    bad = promoted(loop, "bad", 1, 2, days_ago=1)
    n_asked = predict(loop, 1, bad.finished_at_ms or 0)
    (decision,) = ProbationWatch(workspace, loop.registry, model).step()
    assert (decision.act, decision.trigger, decision.from_version, decision.to_version) == ("rollback", "probation", "1", "2")
    assert 300 <= decision.evidence["labels"] <= n_asked  # type: ignore[operator]  # a number
    assert "worse by more than 3 standard errors" in decision.reason
    assert ProbationWatch(workspace, loop.registry, model).step() == [], "it is asked for once"
    (alert,) = [one.alert for one in workspace.alerts.recent() if one.alert.key == "probation:late_order:bad"]
    assert alert.severity == "critical"

    assert decisions.claim(decision.id, "run", wall_ms())
    assert carry_out(workspace, loop.registry, model, decision, "run")
    ended_so = decisions.get(decision.id)
    assert (ended_so.outcome, ended_so.decided_by, loop.aliases()) == ("rolled_back", "probation", (2, 1))
    assert decisions.last_finished(model.name, ("promoted", "rolled_back")) == ended_so
    assert ProbationWatch(workspace, loop.registry, model).step() == [], "a version rolled back to has no probation"


class Dying(Registry):
    """A registry whose process is killed just after an alias was moved."""

    after = ""

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Move it, and die there."""
        super().set_alias(name, alias, version)
        if alias == self.after:
            os.kill(os.getpid(), signal.SIGKILL)


def promote_and_die(held: Workspace, uri: str, claimed: tuple[Decision, str], learnt: Learnt, step: str) -> None:
    """The end of a retrain, killed at a named step; a forked child opens databases of its own, and has no lake."""
    decision, run_id = claimed
    registry = Dying(uri, held.home)
    registry.after = step
    project, databases = held.project, held.databases
    workspace = replace(
        held,
        decisions=DecisionStore(open_loop(databases)),
        predictions=PredictionStore(databases),
        state=open_state(databases, project.sources, project.labels, project.retention_ms),
    )
    mark = workspace.decisions.mark

    def marking(decision_id: str, flow_run_id: str, stage: str, at_ms: int, findings: object = None) -> bool:
        marked = mark(decision_id, flow_run_id, stage, at_ms, findings)  # type: ignore[arg-type]  # as it was called
        if stage == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return marked

    workspace.decisions.mark = marking  # type: ignore[method-assign,assignment]  # to know the moment; it does what it did
    deploy_learnt(workspace, registry, MODEL, (decision, run_id), learnt)
    finish(workspace, MODEL, decision, run_id, learnt)
    if step == "finished":
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("step", ["deploying", PREVIOUS, CHAMPION, "deployed", "finished"])
def test_killed_at_any_step_of_a_promotion_one_champion_and_one_outcome_are_left(loop: Loop, mlflow_uri: str, step: str) -> None:
    workspace, decisions = loop.workspace, loop.workspace.decisions
    loop.serve(1, 1)
    decision = asked(workspace, f"killed at {step}")
    decisions.request(decision)
    assert decisions.claim(decision.id, "run-1", wall_ms())
    keep_learnt(workspace, loop.registry, MODEL, (decision, "run-1"), loop.learnt)
    pid = os.fork()
    if not pid:
        end_after(promote_and_die, workspace, mlflow_uri, (decision, "run-1"), loop.learnt, step)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL

    decisions.release_stale(wall_ms() + 1, now_ms=workspace.now_ms(), wall_ms=wall_ms())
    ended = decisions.get(decision.id).state == "finished"
    assert ended is (step == "finished")
    assert decisions.claim(decision.id, "run-2", wall_ms()) is not ended
    if not ended:
        learnt = resume(workspace, loop.registry, MODEL, decision)
        assert learnt is not None and learnt.version == loop.learnt.version, "nothing is fitted twice"
        with pytest.raises(ConflictError, match="no longer held by run run-1"):
            deploy_learnt(workspace, loop.registry, MODEL, (decision, "run-1"), learnt)
        deploy_learnt(workspace, loop.registry, MODEL, (decision, "run-2"), learnt)
        finish(workspace, MODEL, decision, "run-2", learnt)
    found = decisions.get(decision.id)
    assert loop.aliases() == (2, 1)
    assert (found.outcome, found.from_version, found.to_version, found.decided_by) == ("promoted", "1", "2", "gate")
    assert not decisions.claim(decision.id, "run-3", wall_ms())


def test_another_champion_meanwhile_begins_it_anew(loop: Loop) -> None:
    decisions = loop.workspace.decisions
    loop.serve(1, 1)
    decision = held(loop, asked(loop.workspace, "overtaken"))
    third = replace(loop.learnt, judgement=replace(loop.learnt.judgement, champion=7))
    keep_learnt(loop.workspace, loop.registry, MODEL, (decision, "run"), third)
    assert resume(loop.workspace, loop.registry, MODEL, decision) is None
    refused = deploy_learnt(loop.workspace, loop.registry, MODEL, (decision, "run"), third)
    assert refused is not None
    assert refused.name == "Superseded"
    assert "version 1 has become the champion meanwhile" in refused.reason
    ended = decisions.get(decision.id)
    assert (ended.outcome, ended.to_version, ended.fits, ended.decided_by) == ("refused", str(third.version), third.fits, "guard")


def test_a_model_that_was_frozen_meanwhile_serves_what_it_did(loop: Loop) -> None:
    decisions = loop.workspace.decisions
    loop.serve(1, 1)
    decision = held(loop, asked(loop.workspace, "frozen meanwhile"))
    keep_learnt(loop.workspace, loop.registry, MODEL, (decision, "run"), loop.learnt)
    assert decisions.freeze(MODEL.name, "ann", "the feed is wrong", wall_ms())
    try:
        refused = deploy_learnt(loop.workspace, loop.registry, MODEL, (decision, "run"), loop.learnt)
    finally:
        decisions.unfreeze(MODEL.name, "ann", wall_ms())
    assert refused is not None
    assert refused.name == "Frozen"
    assert "ann has frozen the model meanwhile (the feed is wrong)" in refused.reason
    assert loop.aliases() == (1, 1)
    ended = decisions.get(decision.id)
    assert (ended.outcome, ended.outcome_reason) == ("refused", f"Frozen: {refused.reason}")
    assert (ended.fits, ended.metric_challenger) == (loop.learnt.fits, loop.learnt.judgement.metric_challenger)


def test_one_that_serves_already_goes_on_though_the_model_is_frozen(loop: Loop) -> None:
    decisions = loop.workspace.decisions
    loop.serve(2, 1)  # as a run leaves it that was killed when it had served
    decision = held(loop, asked(loop.workspace, "frozen later"))
    assert decisions.freeze(MODEL.name, "ann", "a holiday", wall_ms())
    try:
        assert deploy_learnt(loop.workspace, loop.registry, MODEL, (decision, "run"), loop.learnt) is None
    finally:
        decisions.unfreeze(MODEL.name, "ann", wall_ms())
    finish(loop.workspace, MODEL, decision, "run", loop.learnt)


def test_a_rollback_that_was_overtaken_changes_nothing(loop: Loop) -> None:
    decisions = loop.workspace.decisions
    loop.serve(2, 1)
    decision = held(loop, replace(asked(loop.workspace, "late rollback"), act="rollback", from_version="9", to_version="1"))
    assert not carry_out(loop.workspace, loop.registry, MODEL, decision, "run")
    ended = decisions.get(decision.id)
    assert (ended.outcome, ended.decided_by) == ("refused", "guard")
    assert "version 2 has become the champion" in ended.outcome_reason
    assert loop.aliases() == (2, 1)


@pytest.mark.parametrize("what", ["promotion", "retrain"])
def test_what_is_overtaken_while_servers_follow_ends_at_once(loop: Loop, what: str) -> None:
    decisions, predictions = loop.workspace.decisions, loop.workspace.predictions
    loop.serve(1, 1)
    decision = replace(asked(loop.workspace, f"overtaken {what}"), from_version="1", to_version="2")
    decision = held(loop, replace(decision, act="promote") if what == "promotion" else decision)
    predictions.confirm("slow", MODEL.name, 1, wall_ms())
    ended: list[bool] = []

    def go() -> None:
        if what == "promotion":
            ended.append(carry_out(loop.workspace, loop.registry, MODEL, decision, "run"))
        else:
            ended.append(deploy_learnt(loop.workspace, loop.registry, MODEL, (decision, "run"), loop.learnt) is None)

    waiting = threading.Thread(target=go)
    waiting.start()
    until_s = time.monotonic() + 60
    while loop.registry.alias(NAME, CHAMPION) != 2 and time.monotonic() < until_s:
        time.sleep(0.01)
    loop.registry.promote(NAME, 1)  # by somebody else
    waiting.join(60)
    predictions.leave("slow")
    assert ended == [False]
    told = decisions.get(decision.id)
    assert (told.outcome, told.decided_by) == ("refused", "guard")
    assert (
        "Superseded: version 2 of 'late_order' was made the champion, and while servers went over version 1 was made it"
        in told.outcome_reason
    )
    assert loop.aliases()[0] == 1


@pytest.fixture
def second(loop: Loop, tmp_path: Path, mlflow_uri: str) -> Iterator[tuple[Workspace, Registry]]:
    """A fresh home of the same project with a champion, three days old."""
    workspace = Workspace.open(loop.workspace.project, tmp_path)
    registry = Registry(mlflow_uri, loop.workspace.home)
    tiny.live(workspace, 0, CHANGE_DAY)
    loop.serve(1, 1)
    yield workspace, registry
    workspace.close()


def feed(workspace: Workspace, change: Callable[[dict[str, object]], dict[str, object]], days: int) -> None:
    """So many days more, each event changed."""
    entries = [
        Entry(entry.stream, json.dumps(change(json.loads(entry.payload))), entry.known_at_ms)
        for entry in tiny.history(CHANGE_DAY, CHANGE_DAY + days)
    ]
    workspace.log.append(entries, 0)
    workspace.engine().drain(10_000)
    workspace.lake_writer().flush()


def test_a_poisoned_label_feed_never_retrains(second: tuple[Workspace, Registry]) -> None:
    workspace, registry = second
    feed(workspace, lambda event: {**event, "delay_min": 90.0} if "delay_min" in event else event, 1)
    decision = request_retrain(workspace, MODEL, "by hand, even so", Asker("ann", "run"))
    assert workspace.decisions.claim(decision.id, "run", wall_ms())
    said = guard(workspace, registry, MODEL, decision, "run")
    assert isinstance(said, Refused)
    assert (said.name, said.outcome) == ("BadData", "refused")
    assert "labels are all 1" in said.reason
    assert "labels are all 1" in workspace.decisions.get(decision.id).findings["guard"]["bad_data"]
    with pytest.raises(UnfitRowsError, match="labels are all 1"):
        train(workspace, registry, MODEL, snapshot(workspace, MODEL))


def test_labels_without_an_outcome_never_retrain(second: tuple[Workspace, Registry]) -> None:
    workspace, registry = second
    assert json.loads(registry.load(NAME, 1).tags[NULL_OUTCOMES])["nulls"] == 0
    feed(workspace, lambda event: {**event, "delay_min": None} if "delay_min" in event and str(event["order_id"])[-1] != "7" else event, 1)
    decision = request_retrain(workspace, MODEL, "by hand, even so", Asker("ann", "run"))
    assert workspace.decisions.claim(decision.id, "run", wall_ms())
    said = guard(workspace, registry, MODEL, decision, "run")
    assert isinstance(said, Refused)
    assert (said.name, "of the newest" in said.reason, "label events have no outcome" in said.reason) == ("BadData", True, True)


def test_an_upstream_column_gone_missing_never_retrains(second: tuple[Workspace, Registry]) -> None:
    workspace, registry = second
    feed(workspace, lambda event: {**event, "amount": None} if "amount" in event else event, 2)
    with pytest.raises(UnfitRowsError, match="column 'amount' is missing in all") as refused:
        train(workspace, registry, MODEL, snapshot(workspace, MODEL))
    assert refused.value.name == "BadData"
    workspace.monitors.save("windows:late_order", 0, 1, {"faults": [{"column": "amount", "what": "all missing", "since_ms": HOUR_MS}]})
    decision = request_retrain(workspace, MODEL, "load of Monday", Asker("nightly", "run", "load-7"))
    assert decision.trigger == "upstream"
    assert request_retrain(workspace, MODEL, "load of Monday", Asker("nightly", "run-2", "load-7")).id == decision.id
    assert workspace.decisions.claim(decision.id, "run", wall_ms())
    said = guard(workspace, registry, MODEL, decision, "run")
    assert isinstance(said, Refused) and "column 'amount' is all missing since" in said.reason


def test_a_model_that_learns_by_parts_goes_on_under_the_same_gate(tmp_path: Path, mlflow_uri: str) -> None:
    policy = replace(MODEL.policy, update_labels=600)
    model = replace(MODEL, estimator=tiny.make_estimator_by_parts, policy=policy)
    workspace = Workspace.open(replace(tiny.project, name="tiny_parts", models=[model]), tmp_path)
    registry, name = Registry(mlflow_uri, tmp_path), "tiny_parts.late_order"
    tiny.live(workspace, 0, 2)
    registry.promote(name, tiny.train_version(workspace, registry))
    assert UpdateWatch(workspace, registry, model).step() == []
    tiny.live(workspace, 2, 4, slow="cd")
    (decision,) = UpdateWatch(workspace, registry, model).step()
    assert UpdateWatch(workspace, registry, model).step() == [], "asked for once"
    assert (decision.act, decision.trigger, decision.from_version) == ("update", "labels", "1")
    assert workspace.decisions.claim(decision.id, "run", wall_ms())
    assert isinstance(guard(workspace, registry, model, decision, "run"), Admitted)

    rows = snapshot(workspace, model)
    judged = gate(model, learn_more(workspace, registry, model, rows))
    assert judged.judgement.verdict.promote, judged.judgement.verdict.reason
    ready = make_ready(model, judged, rows)
    learnt = Learnt(register(workspace, registry, model, ready, {}), ready.fits, judged.judgement, ready.refit)
    keep_learnt(workspace, registry, model, (decision, "run"), learnt)
    deploy_learnt(workspace, registry, model, (decision, "run"), learnt)
    finish(workspace, model, decision, "run", learnt)
    ended = workspace.decisions.get(decision.id)
    assert (ended.outcome, ended.to_version, registry.alias(name, CHAMPION)) == ("promoted", "2", 2)
    assert registry.load(name, 2).tags["window"] == "update"
    assert [one["window"] for one in ended.findings["candidates"]] == ["update"]
    assert (workspace.decisions.last_retrained(model.name), workspace.decisions.retrained_since(model.name, 0)) == (None, [])
    first, second = (read_estimator(tmp_path, name, version)[-1] for version in (1, 2))
    assert second.t_ > first.t_, "it has gone on from where the first was"
    workspace.close()
