"""The flows on a real Prefect and a real MLflow server: each decision ends in one named state and one row."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import TypeAdapter

from flows.deploy import deploy
from flows.loop import loop
from flows.monitor import monitor
from flows.retrain import retrain
from flows.rollback import rollback
from flows.train import train
from flows.update import update
from tasks.context import Context, opened
from tests import tiny
from tests.services import free_port
from tidemill.cli.relay import Relay
from tidemill.clock import wall_ms
from tidemill.drift import ReferenceProfile
from tidemill.kernels import Floats
from tidemill.learning import RetrainPolicy
from tidemill.project import project_root
from tidemill.registry import CHAMPION, FITS, Registry
from tidemill.serving.age import AgeWatch
from tidemill.serving.drift_states import CheckState
from tidemill.stores import Alert, Answered, Decision, Role
from tidemill.stores.decision_records import Ending, Trigger, decision_id

MODEL = tiny.LATE_ORDER.name


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, prefect_api_url: str, mlflow_uri: str) -> Iterator[Context]:
    """The tiny project, three days old, opened by the flows of this process, with a first champion."""
    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: prefect_api_url}):
        patch.setenv("TIDEMILL_HOME", str(tmp_path_factory.mktemp("flows")))
        patch.setenv("TIDEMILL_PROJECT", str(tiny.FILE))
        patch.setenv("TIDEMILL_MLFLOW__URI", mlflow_uri)
        opened.cache_clear()
        tiny.live(opened().workspace, 0, 3)
        state = train(MODEL, return_state=True)
        assert (state.name, champion(opened())) == ("Promoted", 1)
        yield opened()
        opened.cache_clear()


def champion(context: Context) -> int | None:
    """The version that serves."""
    return context.registry.alias(context.registered(MODEL), CHAMPION)


def alarmed(context: Context, trigger: Trigger = "error") -> Decision:
    """A decision as an alarm requests it."""
    fresh = decision_id(wall_ms(), random.Random())
    now_ms = context.workspace.now_ms()
    decision = Decision(fresh, MODEL, trigger, f"{trigger}:{fresh}", "it has become worse", now_ms, wall_ms())
    assert context.workspace.decisions.request(decision)
    return decision


def run(decision: Decision) -> State:
    """The retrain of a decision."""
    return retrain(MODEL, decision.id, return_state=True)


def test_an_alarm_too_soon_is_refused_by_name_and_trains_nothing(context: Context) -> None:
    decision = alarmed(context)
    state = run(decision)
    ended = context.workspace.decisions.get(decision.id)
    assert state.name == "TooFewLabels"
    assert (ended.state, ended.outcome, ended.fits) == ("finished", "refused", 0)
    assert ended.outcome_reason.startswith("TooFewLabels: ")


@pytest.fixture
def told_by_prefect(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What Prefect logs of flow runs and task runs."""
    loggers = [logging.getLogger(f"prefect.{runs}") for runs in ("flow_runs", "task_runs")]
    for logger in loggers:
        logger.addHandler(caplog.handler)
    yield caplog
    for logger in loggers:
        logger.removeHandler(caplog.handler)


def test_rows_too_few_to_learn_from_are_a_refusal_and_no_error(context: Context, told_by_prefect: pytest.LogCaptureFixture) -> None:
    state = update(MODEL, return_state=True)
    (ended, *_) = context.workspace.decisions.recent(MODEL, 1)
    assert (state.name, state.is_completed(), ended.outcome) == ("TooFewLabels", True, "refused")
    assert "new rows" in (state.message or "")
    assert ended.outcome_reason == f"TooFewLabels: {state.message}"
    assert [record.getMessage() for record in told_by_prefect.records if record.levelno > logging.INFO] == []
    assert any("new rows" in line for line in told_by_prefect.messages), "the log says why"


def test_a_second_run_of_a_decision_ends_merged(context: Context) -> None:
    decision = alarmed(context)
    assert context.workspace.decisions.claim(decision.id, "another run", wall_ms())
    assert run(decision).name == "Merged"
    assert context.workspace.decisions.get(decision.id).flow_run_id == "another run"
    context.workspace.decisions.release_stale(wall_ms() + 1, now_ms=context.workspace.now_ms(), wall_ms=wall_ms(), at_most=0)
    assert context.workspace.decisions.get(decision.id).outcome == "failed"


def test_while_mlflow_is_away_a_retrain_waits_and_then_goes_on(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    decision = alarmed(context)
    away = Registry(f"http://127.0.0.1:{free_port()}", context.workspace.home)
    with monkeypatch.context() as patch:
        patch.setattr(context.registry, "_client", away._client)
        assert run(decision).name == "PutBack"
    waits = context.workspace.decisions.get(decision.id)
    assert (waits.state, waits.outcome) == ("requested", None)
    assert run(decision).name == "TooFewLabels"
    assert context.workspace.decisions.get(decision.id).outcome == "refused"


def test_a_frozen_model_is_not_retrained_even_by_hand(context: Context) -> None:
    decisions = context.workspace.decisions
    decisions.freeze(MODEL, "a person", "a test", wall_ms())
    state, again = (retrain(MODEL, reason="just to see", key="load-7", return_state=True) for _ in range(2))
    decisions.unfreeze(MODEL, "a person", wall_ms())
    assert (state.name, again.name) == ("Frozen", "Refused")
    assert "a person" in (state.message or "")
    assert (again.message or "").endswith(f"has ended as refused: Frozen: {state.message}")
    assert champion(context) == 1


def test_a_changed_world_is_learnt_by_hand_then_cooled_down_and_rolled_back(context: Context) -> None:
    tiny.live(context.workspace, 3, 6, slow="cd")
    before = len(context.workspace.decisions.recent(MODEL, 500))
    state = retrain(MODEL, reason="the shops have changed", return_state=True)
    (newest, *_) = rows = context.workspace.decisions.recent(MODEL, 500)
    assert (state.name, champion(context)) == ("Promoted", 2)
    assert len(rows) == before + 1
    assert (newest.trigger, newest.outcome, newest.from_version, newest.to_version, newest.fits) == ("manual", "promoted", "1", "2", 2)
    assert newest.decided_by == "gate"
    assert list(newest.stages) == ["guarded", "snapshot", "fitted", "judged", "ready", "registered", "deploying", "deployed"]
    assert [one["window"] for one in newest.findings["candidates"]] == ["all", "change", "recent"]
    assert newest.findings["mlflow_run"].startswith(context.settings.mlflow_uri)
    assert newest.metric_champion is not None
    assert newest.metric_challenger is not None
    assert newest.metric_challenger < newest.metric_champion
    assert retrain(MODEL, reason="once more", return_state=True).name == "Rejected"  # version 2 has learnt from all there is
    (rejected, *_) = context.workspace.decisions.recent(MODEL, 500)
    assert (rejected.outcome, rejected.from_version, rejected.to_version, rejected.fits) == ("rejected", "2", "3", 1)
    second, third = (context.registry.load(context.registered(MODEL), number) for number in (2, 3))
    assert (second.tags["refitted"], second.tags[FITS], third.tags["refitted"], third.tags[FITS]) == ("true", "2", "false", "1")
    learnt = [ReferenceProfile.from_json(version.reference) for version in (second, third)]
    assert learnt[0].end_ms - learnt[1].end_ms > tiny.LATE_ORDER.policy.gate_ms * 0.9  # the rejected one has not seen the newest day
    assert champion(context) == 2
    assert run(alarmed(context)).name in ("Cooldown", "TooFewLabels")
    assert rollback(MODEL, by="ann", return_state=True).name == "RolledBack"
    assert champion(context) == 1
    (back, *_) = context.workspace.decisions.recent(MODEL, 500)
    assert (back.act, back.outcome, back.from_version, back.to_version, back.decided_by) == ("rollback", "rolled_back", "2", "1", "ann")
    assert deploy(MODEL, 3, by="ann", return_state=True).name == "Deployed"
    assert champion(context) == 3
    assert rollback(MODEL, by="ann", return_state=True).name == "RolledBack"
    assert champion(context) == 1


def test_a_champion_grown_old_asks_once_where_the_policy_says_so(context: Context) -> None:
    old = replace(tiny.LATE_ORDER, policy=RetrainPolicy(on=("schedule",), max_age="2d"))
    young = replace(old, policy=RetrainPolicy(on=("schedule",), max_age="30d"))
    assert AgeWatch(context.workspace, context.registry, tiny.LATE_ORDER).step() == []
    assert AgeWatch(context.workspace, context.registry, young).step() == []
    (decision,) = AgeWatch(context.workspace, context.registry, old).step()
    assert (decision.trigger, decision.from_version) == ("schedule", "1")
    assert AgeWatch(context.workspace, context.registry, old).step() == []
    assert context.workspace.decisions.get(decision.id).state == "requested"


def test_a_check_without_predictions_says_so(context: Context) -> None:
    state = monitor(MODEL, return_state=True)
    assert (state.name, state.is_completed()) == ("TooFewPredictions", True)
    assert "0 predictions to check" in (state.message or "")


def serve(context: Context, version: int, n: int) -> None:
    """`n` questions are answered by a version, now."""
    asked = [tiny.Question(order_id=f"q{version}-{number}", shop="abcde"[number % 5], amount=None) for number in range(n)]
    numbers = np.random.default_rng(0).normal(size=(n, len(tiny.LATE_ORDER.number_columns)))
    keys, requests = [question.order_id for question in asked], [question.model_dump_json() for question in asked]
    said: dict[Role, tuple[int, Floats]] = {"champion": (version, np.full(n, 0.5))}
    now_ms = context.workspace.now_ms()
    context.workspace.predictions.write(Answered(MODEL, now_ms, now_ms, "{}", "another digest", keys, requests, numbers, said))


def runs_for(alert: str) -> list[FlowRun]:
    """The runs that were started for an alert, not those that this test calls."""
    with get_client(sync_client=True) as client:
        return [run for run in client.read_flow_runs() if run.deployment_id and run.parameters.get("alert") == alert]


def test_an_alarm_is_explained_once_by_what_its_version_served(context: Context) -> None:
    workspace, now_ms = context.workspace, context.workspace.now_ms()
    alerts = {version: Alert(f"outcomes:{version}", MODEL, "critical", "worse", "", "", now_ms, explain=str(version)) for version in (1, 2)}
    serve(context, 1, 600)
    assert monitor(MODEL, parity_rows=10, return_state=True).is_completed()
    weekly = workspace.monitors.load(f"check:{MODEL}")
    assert weekly[1] is not None
    TypeAdapter(CheckState).validate_python(weekly[1], strict=True, extra="forbid")

    for alert in alerts.values():
        assert workspace.alerts.raise_alert(alert)
    for left in workspace.decisions.recent(MODEL, 500):  # of other tests; an open one would have the machine first
        if left.state != "finished":
            workspace.decisions.finish(left.id, Ending("merged", "a test", at_ms=now_ms, wall_ms=wall_ms()), left.flow_run_id or "")
    relay = Relay(workspace, context.settings)
    relay.step()
    assert [len(runs_for(alert.key)) for alert in alerts.values()] == [0, 0], "no such deployment yet"
    monitor.to_deployment(tiny.project.name).apply()  # type: ignore[union-attr]  # not a coroutine outside an event loop
    until_s = time.monotonic() + 120
    while [len(runs_for(alert.key)) for alert in alerts.values()] != [1, 1]:
        assert time.monotonic() < until_s
        Relay(workspace, context.settings).step()  # without the pause of the first
    ((first,), (second,)) = (runs_for(alert.key) for alert in alerts.values())

    serve(context, 2, 10)
    if len(context.registry.versions(context.registered(MODEL))) < 2:
        tiny.train_version(workspace, context.registry)
    context.registry.promote(context.registered(MODEL), 2)
    state = monitor(**{**first.parameters, "parity_rows": 10}, return_state=True)
    assert (state.is_completed(), "columns failed" in (state.message or "")) == (True, True), state.message
    link = workspace.alerts.get(alerts[1].key).link
    assert link.startswith(context.settings.mlflow_uri)
    report = MlflowClient(context.settings.mlflow_uri).get_run(link.split("/runs/")[1].split("/")[0])
    assert (report.data.tags["trigger"], report.data.tags["version"]) == ("alarm", "1"), "not the champion promoted meanwhile"

    refused = monitor(**{**second.parameters, "parity_rows": 10}, return_state=True)
    assert refused.name == "TooFewPredictions" and "10 predictions to check" in (refused.message or "")
    Relay(workspace, context.settings).step()
    assert [len(runs_for(alert.key)) for alert in alerts.values()] == [1, 1], "a check that was refused is not started again"
    assert workspace.alerts.get(alerts[2].key).link == ""
    assert workspace.monitors.load(f"check:{MODEL}") == weekly
    assert [one.trigger for one in workspace.decisions.recent(MODEL) if one.trigger == "evidently"] == []


@pytest.mark.parametrize("alert", ["windows:1", "outcomes:another"])
def test_only_an_alert_about_a_version_of_the_model_is_explained(context: Context, alert: str) -> None:
    now_ms = context.workspace.now_ms()
    context.workspace.alerts.raise_alert(Alert("windows:1", MODEL, "warning", "has moved", "", "", now_ms))
    context.workspace.alerts.raise_alert(Alert("outcomes:another", "another", "critical", "worse", "", "", now_ms, explain="1"))
    context.workspace.alerts.mark_explaining("outcomes:another", wall_ms())
    state = monitor(MODEL, alert=alert, return_state=True)
    assert state.is_failed() and "no alert about a version" in (state.message or "")


@pytest.mark.parametrize("name", ["backfill", "compact", "deploy", "ingest", "loop", "monitor", "retrain", "rollback", "train", "update"])
def test_every_flow_is_loaded_by_its_entrypoint(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project_root())
    assert load_flow_from_entrypoint(f"flows/{name}.py:{name}").name == name


@pytest.mark.parametrize("flow", [train, loop])
def test_a_first_training_without_labels_says_so_in_one_line(
    flow: Callable[..., State],
    told_by_prefect: pytest.LogCaptureFixture,
    context: Context,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path))
    opened.cache_clear()
    try:
        state = flow(MODEL, return_state=True)
    finally:
        opened.cache_clear()
    assert (state.name, state.is_completed()) == ("TooFewLabels", True), "of a failed one the process of the flows prints a traceback"
    assert "no labelled question" in (state.message or "")
    assert all(record.exc_info is None and len(record.getMessage().splitlines()) == 1 for record in told_by_prefect.records)
