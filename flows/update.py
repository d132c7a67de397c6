"""`update`: a champion that learns by parts goes on from its parameters on newly labelled rows, by the steps and the gate of `retrain`."""

from __future__ import annotations

from prefect import flow, runtime
from prefect.client.schemas.objects import State

from flows.retrain import carry_through
from tasks.decisions import open_update
from tidemill.registry import Asker


@flow(name="update")
def update(model: str, decision_id: str = "", by: str = "hand") -> State:
    """Let the champion learn from what was labelled since; the gate decides what serves."""
    run_id = str(runtime.flow_run.id)
    return carry_through(model, open_update(model, decision_id, Asker(by, run_id)), run_id)
