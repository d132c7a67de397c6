"""`rollback`: the previous champion serves again, because a person or a probation says so."""

from __future__ import annotations

from prefect import flow, runtime
from prefect.client.schemas.objects import State

from flows.carrying import carry_out
from tasks.decisions import open_rollback
from tidemill.registry import Asker


@flow(name="rollback")
def rollback(model: str, by: str = "hand", decision_id: str = "") -> State:
    """Make the previous champion the champion; `by` is who says so."""
    run_id = str(runtime.flow_run.id)
    return carry_out(model, open_rollback(model, decision_id, Asker(by, run_id)), run_id)
