"""The flows on a real Prefect and a real MLflow server: each decision ends in one named state and one row."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.monitor import monitor
from flows.retrain import retrain
from flows.rollback import rollback
from flows.train import train
from tasks.context import Context, opened
from tests import tiny
from tidemill.cli.relay import Relay
from tidemill.clock import wall_ms
from tidemill.learning import RetrainPolicy
from tidemill.project import project_root
from tidemill.registry import CHAMPION
from tidemill.serving.age import AgeWatch
from tidemill.stores import Alert, Answered, Decision
from tidemill.stores.decision_records import Trigger, decision_id

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


def test_a_second_run_of_a_decision_ends_merged(context: Context) -> None:
    decision = alarmed(context)
    assert context.workspace.decisions.claim(decision.id, "another run", wall_ms())
    assert run(decision).name == "Merged"
    assert context.workspace.decisions.get(decision.id).flow_run_id == "another run"


def test_a_frozen_model_is_not_retrained_even_by_hand(context: Context) -> None:
    decisions = context.workspace.decisions
    for running in [one for one in decisions.recent(MODEL) if one.state == "claimed"]:
        decisions.release_stale(wall_ms() + 1, now_ms=context.workspace.now_ms(), wall_ms=wall_ms(), at_most=0)
        assert decisions.get(running.id).outcome == "failed"
    decisions.freeze(MODEL, "a person", "a test", wall_ms())
    state = retrain(MODEL, reason="just to see", return_state=True)
    decisions.unfreeze(MODEL, "a person", wall_ms())
    assert state.name == "Frozen"
    assert "a person" in (state.message or "")
    assert champion(context) == 1


def test_a_changed_world_is_learnt_by_hand_then_cooled_down_and_rolled_back(context: Context) -> None:
    tiny.live(context.workspace, 3, 6, slow="cd")
    before = len(context.workspace.decisions.recent(MODEL, 500))
    state = retrain(MODEL, reason="the shops have changed", return_state=True)
    (newest, *_) = rows = context.workspace.decisions.recent(MODEL, 500)
    assert (state.name, champion(context)) == ("Promoted", 2)
    assert len(rows) == before + 1
    assert (newest.trigger, newest.outcome, newest.from_version, newest.to_version, newest.fits) == ("manual", "promoted", "1", "2", 2)
    assert newest.metric_champion is not None
    assert newest.metric_challenger is not None
    assert newest.metric_challenger < newest.metric_champion
    assert run(alarmed(context)).name in ("Cooldown", "TooFewLabels")
    assert rollback(MODEL, return_state=True).name == "RolledBack"
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
    assert state.is_failed()
    assert "0 predictions to check" in (state.message or "")


def test_an_alarm_is_explained_once_by_what_its_version_served(context: Context) -> None:
    workspace, key, now_ms = context.workspace, "outcomes:explained", context.workspace.now_ms()
    asked = [tiny.Question(order_id=f"q{number}", shop="abcde"[number % 5], amount=None) for number in range(600)]
    said = {"champion": (1, np.full(len(asked), 0.5))}
    numbers = np.random.default_rng(0).normal(size=(len(asked), len(tiny.LATE_ORDER.number_columns)))
    requests = [question.model_dump_json() for question in asked]
    keys = [question.order_id for question in asked]
    workspace.predictions.write(Answered(MODEL, now_ms, now_ms, "{}", "another digest", keys, requests, numbers, said))  # type: ignore[arg-type]  # a literal key
    workspace.alerts.raise_alert(Alert(key, MODEL, "critical", "it has become worse", "by a lot", "", now_ms, explain="1"))
    monitor.to_deployment(tiny.project.name).apply()  # type: ignore[union-attr]  # not a coroutine outside an event loop
    relay = Relay(workspace, context.settings)
    relay.step()
    assert workspace.alerts.unexplained() == []
    relay.step()
    with get_client(sync_client=True) as client:
        runs = [one for one in client.read_flow_runs() if one.parameters.get("alert") == key]
    (started,) = runs
    state_before = workspace.monitors.load(f"check:{MODEL}")
    state = monitor(**{**started.parameters, "parity_rows": 10}, return_state=True)
    assert state.is_completed(), state.message
    assert workspace.alerts.get(key).link.startswith(context.settings.mlflow_uri)
    assert workspace.monitors.load(f"check:{MODEL}") == state_before


@pytest.mark.parametrize("name", ["backfill", "deploy", "ingest", "loop", "monitor", "retrain", "rollback", "train"])
def test_every_flow_is_loaded_by_its_entrypoint(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project_root())
    assert load_flow_from_entrypoint(f"flows/{name}.py:{name}").name == name
