"""`deploy`: a person makes a version the champion; every server confirms, and it is a decision like any other."""

from __future__ import annotations

from prefect import flow, runtime
from prefect.client.schemas.objects import State

from flows.carrying import carry_out
from tasks.decisions import open_promotion
from tidemill.registry import Asker


@flow(name="deploy")
def deploy(model: str, version: int = 0, by: str = "hand", decision_id: str = "") -> State:
    """Make a version the champion, whatever the gate said of it; `by` is who says so."""
    run_id = str(runtime.flow_run.id)
    return carry_out(model, open_promotion(model, version, decision_id, Asker(by, run_id)), run_id)
